"""A contact sheet of one training row: what the model will see, with boxes and token masks drawn over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...conditioning.images import fill_picture, fit_person, fit_pose_picture, fit_product
from ...constants import PIXELS_PER_TOKEN, TEMPORAL_STRIDE, VIDEO_FPS
from ...drawing.canvas import GAP, LABEL, Canvas, Shown, can_write
from ...drawing.palette import BLACK, FACE, HAND
from ...media.picture import read_picture
from ...media.sound import read_audio
from ...media.video import Fit, read_frames
from ...shapes import VideoSize
from .box_cells import drawn_on
from .preflight import CheckedRow
from .token_masks import PlacedBox, placed_boxes

if TYPE_CHECKING:
    from PIL.Image import Image

CELL_AREA = 84_000  # pixels of a shown picture, whatever its shape
MOST_MOMENTS, FEWEST_MOMENTS = 6, 4  # latents of the clip that are shown, of upright and of wide videos
NARROWEST = 1100  # of the sheet, for its text
PROMPT_LINES = 2
SOUND = 150  # height of the speech's panel
TINT = 0.42  # of a masked token
OUTLINE = 2.2  # of a shown picture


def contact_sheet(checked: CheckedRow) -> Tensor:
    """References, then moments of the clip with HOI stream and pose below them, the speech and the notes.

    Returns:
        `[1, H, W, 3]` in 0-1.

    Raises:
        InputError: a file of the row can no longer be read.
    """
    size = checked.size
    scale = (CELL_AREA / (size.width * size.height)) ** 0.5
    cell = (max(1, round(size.width * scale)), max(1, round(size.height * scale)))
    moments = _moments(checked)
    lines = _lines(checked, moments)
    references = _references(checked)
    columns = -(-len(references) // len(lines))  # of references, left of the clip
    left = GAP + columns * (cell[0] + GAP) + GAP
    width = max(NARROWEST, left + len(moments) * (cell[0] + GAP))
    canvas = Canvas(width)
    _write_head(canvas, checked)
    top = canvas.y
    step = cell[1] + LABEL + GAP
    for number, shown in enumerate(references):
        canvas.picture(GAP + number // len(lines) * (cell[0] + GAP), top + number % len(lines) * step, cell, shown)
    for row, line in enumerate(lines):
        for column, shown in enumerate(line):
            canvas.picture(left + column * (cell[0] + GAP), top + row * step, cell, shown)
    canvas.y = top + len(lines) * step
    _draw_speech(canvas, checked, moments)
    for note in checked.notes:
        canvas.write(note, bullet=True)
    return canvas.finished()


def _moments(checked: CheckedRow) -> list[int]:
    """Latents that are shown, spread over the clip."""
    upright = min(max((checked.size.height / checked.size.width - 0.6) / 0.8, 0.0), 1.0)
    count = min(checked.latents, FEWEST_MOMENTS + round(upright * (MOST_MOMENTS - FEWEST_MOMENTS)))
    return [round(place) for place in np.linspace(0, checked.latents - 1, count)]


def _references(checked: CheckedRow) -> list[Shown]:
    """Person, product and the last motion frame, as the model sees them."""
    row, size = checked.row, checked.size
    shown = [Shown("person", _image(fit_person(read_picture(row.person_image, "person_image"), size, "crop")[0]))]
    if row.product_image is not None:
        product = fit_product(read_picture(row.product_image, "product_image"), None, size)[0]
        shown.append(Shown("product", _image(product)))
    if row.motion_video is not None and checked.plan.motion is not None:
        last = checked.plan.motion[-1]
        frame = read_frames(row.motion_video, [last], size)[0]
        shown.append(Shown(f"motion · last frame, {last}", _image(frame)))
    return shown


def _lines(checked: CheckedRow, moments: Sequence[int]) -> list[list[Shown]]:
    """The clip with its boxes and tokens, then HOI stream and pose at the same moments."""
    row, plan, size = checked.row, checked.plan, checked.size

    def frames(path: Path, times: Sequence[int], fit: Fit = fill_picture) -> list[tuple[int, Tensor]]:
        places = [times[drawn_on(moment)] for moment in moments]
        return list(zip(places, read_frames(path, places, size, fit), strict=True))

    clip = [
        Shown(f"latent {moment} · frame {place}", _marked(checked, frame, moment))
        for moment, (place, frame) in zip(moments, frames(row.input_video, plan.target), strict=True)
    ]
    lines = [clip]
    for name, path, times, fit in (
        ("HOI", row.hoi_video, plan.hoi, fill_picture),
        ("pose", row.pose_video, plan.pose, fit_pose_picture),
    ):
        if path is not None and times is not None:
            shown = frames(path, times, fit)
            lines.append([Shown(f"{name} · frame {place}", _image(frame)) for place, frame in shown])
    return lines


def _marked(checked: CheckedRow, frame: Tensor, moment: int) -> Image:
    """A frame with its latent's tokens tinted, a hand over a face as in training, and the boxes they come from."""
    from PIL import ImageDraw

    masks, size, row = checked.token_masks, checked.size, checked.row
    if masks is None:
        return _image(frame)
    out = frame
    for mask, colour in ((masks.face, FACE), (masks.hand, HAND)):
        tokens = _tokens(mask, moment, size)[..., None]
        out = torch.where(tokens, frame * (1 - TINT) + torch.tensor(colour) / 255.0 * TINT, out)
    picture = _image(out)
    draw = ImageDraw.Draw(picture)
    thick = max(1, round(OUTLINE * (size.width * size.height / CELL_AREA) ** 0.5))
    for name, boxes, colour in (("face", row.face, FACE), ("hand_object", row.hand, HAND)):
        for box in placed_boxes(boxes or {}, name, checked.latents, size, row.source):
            if box.latent == moment:
                draw.rectangle(_grown(box, thick), outline=BLACK, width=2 * thick)
                draw.rectangle(_grown(box, thick / 2), outline=colour, width=thick)
    return picture


def _grown(box: PlacedBox, by: float) -> list[float]:
    """A box with a rim of `by` around it."""
    return [box.left - by, box.top - by, box.right + by, box.bottom + by]


def _tokens(mask: Tensor, moment: int, size: VideoSize) -> Tensor:
    """Pixels of one latent's marked tokens, `[height, width]` bool."""
    tokens = mask.view(-1, size.token_rows, size.token_columns)[moment].bool()
    return tokens.repeat_interleave(PIXELS_PER_TOKEN, 0).repeat_interleave(PIXELS_PER_TOKEN, 1)


def _image(frame: Tensor) -> Image:
    from PIL import Image

    return Image.fromarray((frame.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def _write_head(canvas: Canvas, checked: CheckedRow) -> None:
    """Number and form of the row, what the colours mean, and the prompt."""
    row, frames = checked.row, checked.latents * TEMPORAL_STRIDE
    facts = [f"{checked.size}", f"{checked.latents} latents", f"{frames} frames", f"{frames / VIDEO_FPS:.2f} s"]
    legend = []
    if checked.token_masks is not None:
        for word, colour, mask in (("hand", HAND, checked.token_masks.hand), ("face", FACE, checked.token_masks.face)):
            marked = int(mask.view(checked.latents, -1).any(dim=1).sum())
            legend.append((f"{word} in {marked} of {checked.latents} latents", colour))
    canvas.title(f"Row {row.number}", "   ·   ".join([*facts, row.input_video.name]), legend)
    hidden = f"a prompt of {len(row.prompt)} characters, in letters that no font of this system has"
    canvas.write(row.prompt if can_write(row.prompt) else hidden, lines=PROMPT_LINES)


def _draw_speech(canvas: Canvas, checked: CheckedRow, moments: Sequence[int]) -> None:
    """Level of the speech over the clip, with marks at the moments that are shown."""
    waveform, rate = read_audio(checked.row.audio)
    seconds = checked.latents * TEMPORAL_STRIDE / VIDEO_FPS
    heard = waveform[0].mean(dim=0)[: round(seconds * rate)]
    heard = torch.nn.functional.pad(heard, (0, round(seconds * rate) - len(heard)))
    marks = [drawn_on(moment) / VIDEO_FPS for moment in moments]
    label = f"speech · {waveform.shape[-1] / rate:.2f} s, {rate / 1000:g} kHz"
    canvas.wave(label, heard.numpy(), seconds, marks, SOUND)
