"""A contact sheet of one training row: what the model will see, with boxes and token masks drawn over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..conditioning.images import fit_person, fit_product
from ..constants import PIXELS_PER_TOKEN, TEMPORAL_STRIDE, VIDEO_FPS
from ..shapes import VideoSize
from .footage import read_audio, read_frames, read_picture
from .preflight import CheckedRow

if TYPE_CHECKING:
    from PIL.Image import Image

MOMENTS = 6  # latents of the clip that are shown
CELL_HEIGHT = 260
GAP, HEAD, LABEL, FONT, SOUND = 10, 76, 22, 15, 90
PAPER, INK, FAINT, WAVE = (24, 26, 31), (225, 228, 232), (130, 138, 150), (96, 190, 255)
FACE, HAND = (64, 200, 255), (255, 150, 60)
TINT = 0.45  # of a masked token
NOTES_SHOWN = 2


def contact_sheet(checked: CheckedRow) -> Tensor:
    """References, motion, then six moments of the clip with HOI stream and pose below them and the sound under all.

    Returns:
        `[1, H, W, 3]` in 0-1.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = _Shown(checked)
    size = checked.size
    cell = (max(1, round(size.width * CELL_HEIGHT / size.height)), CELL_HEIGHT)
    lines = [("clip", shown.clip()), *shown.beside()]
    columns = len(shown.moments) + 1
    width = GAP + columns * (cell[0] + GAP)
    left = shown.references()
    rows = max(len(lines), len(left))
    height = HEAD + rows * (cell[1] + LABEL + GAP) + SOUND + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT)

    def place(column: int, row: int, picture: Image, label: str) -> None:
        x, y = GAP + column * (cell[0] + GAP), HEAD + row * (cell[1] + LABEL + GAP)
        sheet.paste(picture.resize(cell, Image.Resampling.LANCZOS), (x, y + LABEL))
        draw.text((x, y), label, fill=FAINT, font=font)

    _write_head(draw, font, checked, width)
    for row, (label, picture) in enumerate(left):
        place(0, row, picture, label)
    for row, (name, pictures) in enumerate(lines):
        for column, (moment, picture) in enumerate(zip(shown.moments, pictures, strict=True), 1):
            first = moment * TEMPORAL_STRIDE
            label = f"latent {moment}, {first / VIDEO_FPS:.2f} s" if name == "clip" else name
            place(column, row, picture, label)
    top = HEAD + rows * (cell[1] + LABEL + GAP)
    _draw_sound(draw, font, checked, (2 * GAP + cell[0], top, width - GAP, top + SOUND))
    return torch.from_numpy(np.asarray(sheet, dtype=np.float32) / 255.0)[None]


class _Shown:
    """Pictures of a row."""

    def __init__(self, checked: CheckedRow) -> None:
        self._checked = checked
        count = min(MOMENTS, checked.latents)
        self.moments = [round(place) for place in np.linspace(0, checked.latents - 1, count)]

    def clip(self) -> list[Image]:
        """The middle frame of each moment, with the tokens of its latent tinted."""
        frames = self._frames(self._checked.row.input_video, self._checked.plan.target)
        return [self._tinted(frame, moment) for frame, moment in zip(frames, self.moments, strict=True)]

    def beside(self) -> list[tuple[str, list[Image]]]:
        """HOI stream and pose at the same frames."""
        row, plan = self._checked.row, self._checked.plan
        videos = (("HOI stream", row.hoi_video, plan.hoi), ("pose", row.pose_video, plan.pose))
        return [
            (name, [_picture(frame) for frame in self._frames(path, times)])
            for name, path, times in videos
            if path is not None
        ]

    def references(self) -> list[tuple[str, Image]]:
        """Person, product and the last motion frame."""
        row, size = self._checked.row, self._checked.size
        found = [("person", fit_person(read_picture(row.person_image, "person_image"), size, "crop")[0])]
        if row.product_image is not None:
            found.append(("product", fit_product(read_picture(row.product_image, "product_image"), None, size)[0]))
        if row.motion_video is not None:
            found.append(("motion, last frame", read_frames(row.motion_video, self._checked.plan.motion[-1:], size)[0]))
        return [(label, _picture(frame)) for label, frame in found]

    def _frames(self, path: Any, times: Sequence[int]) -> Tensor:
        middle = [times[moment * TEMPORAL_STRIDE + TEMPORAL_STRIDE // 2] for moment in self.moments]
        return read_frames(path, middle, self._checked.size)

    def _tinted(self, frame: Tensor, moment: int) -> Image:
        """Face and hand tokens in their colours; a hand wins where both are, as in training."""
        masks, size = self._checked.masks, self._checked.size
        if masks is None:
            return _picture(frame)
        out = frame.clone()
        for mask, colour in ((masks.face, FACE), (masks.hand, HAND)):
            here = _of_latent(mask, moment, size)
            pixels = here.repeat_interleave(PIXELS_PER_TOKEN, 0).repeat_interleave(PIXELS_PER_TOKEN, 1)[..., None]
            out = torch.where(pixels, frame * (1 - TINT) + torch.tensor(colour) / 255.0 * TINT, out)
        return _outlined(_picture(out), masks, moment, size)


def _of_latent(mask: Tensor, moment: int, size: VideoSize) -> Tensor:
    """Tokens of one latent, `[rows, columns]` bool."""
    return mask.view(-1, size.height // PIXELS_PER_TOKEN, size.width // PIXELS_PER_TOKEN)[moment].bool()


def _outlined(picture: Image, masks: Any, moment: int, size: VideoSize) -> Image:
    """A frame around each connected group of tokens."""
    import cv2
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    for mask, colour in ((masks.face, FACE), (masks.hand, HAND)):
        tokens = _of_latent(mask, moment, size).to(torch.uint8).numpy()
        _, _, groups, _ = cv2.connectedComponentsWithStats(tokens, connectivity=4)
        for x, y, across, down, _ in groups[1:]:
            corners = [side * PIXELS_PER_TOKEN for side in (x, y, x + across, y + down)]
            draw.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), outline=colour, width=4)
    return picture


def _picture(frame: Tensor) -> Image:
    from PIL import Image

    return Image.fromarray((frame.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def _write_head(draw: Any, font: Any, checked: CheckedRow, width: int) -> None:
    """Number and form of the row, the colours' meaning, and what was decided."""
    kept = checked.latents * TEMPORAL_STRIDE
    title = f"row {checked.row.number}   {checked.size}   {checked.latents} latents, {kept / VIDEO_FPS:.2f} s"
    draw.text((GAP, 8), title, fill=INK, font=font)
    x = width - GAP
    for word, colour in (("hand tokens", HAND), ("face tokens", FACE)):
        x -= draw.textlength(word, font=font)
        draw.text((x, 8), word, fill=colour, font=font)
        x -= 18
    for line, note in enumerate(checked.notes[:NOTES_SHOWN]):
        more = len(checked.notes) - NOTES_SHOWN if line + 1 == NOTES_SHOWN else 0
        text = f"{note} (and {more} more notes)" if more > 0 else note
        draw.text((GAP, 30 + 20 * line), _fitting(draw, font, text, width - 2 * GAP), fill=FAINT, font=font)


def _fitting(draw: Any, font: Any, text: str, width: int) -> str:
    while draw.textlength(text, font=font) > width:
        text = f"{text[:-2]}…"
    return text


def _draw_sound(draw: Any, font: Any, checked: CheckedRow, area: tuple[int, int, int, int]) -> None:
    """Peaks of the speech over the clip, with a mark at every half second."""
    left, top, right, bottom = area
    waveform, rate = read_audio(checked.row.audio)
    seconds = checked.latents * TEMPORAL_STRIDE / VIDEO_FPS
    level = waveform[0].abs().amax(dim=0)[: round(seconds * rate)]
    peaks = [part.max().item() if len(part) else 0.0 for part in level.tensor_split(right - left)]
    middle, reach = (top + bottom - LABEL) / 2, (bottom - LABEL - top) / 2 - 4
    loudest = max(*peaks, 1e-6)
    for column, peak in enumerate(peaks):
        tall = max(1.0, peak / loudest * reach)
        draw.line((left + column, middle - tall, left + column, middle + tall), fill=WAVE)
    for half in range(int(seconds * 2) + 1):
        x = left + half / 2 / seconds * (right - left)
        draw.line((x, bottom - LABEL - 4, x, bottom - LABEL + 2), fill=FAINT)
        draw.text((min(x, right - 40), bottom - LABEL + 2), f"{half / 2:g} s", fill=FAINT, font=font)
    draw.text((GAP, middle - FONT), "speech", fill=FAINT, font=font)
