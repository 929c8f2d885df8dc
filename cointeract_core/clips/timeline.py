"""The speech as a picture, with the borders of the clips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from torch import Tensor

from ..constants import VIDEO_FPS
from ..drawing.palette import INK, LOUD, ORANGE, PAPER, SHADES, TAIL, as_image
from .parts import Speech

WIDTH, HEIGHT, MARGIN, HEAD, FONT = 800, 320, 12, 64, 22


def draw_timeline(speech: Speech) -> Tensor:
    """Peaks of the speech over time, one box per clip, `[1, H, W, 3]` in 0-1.

    Grey is speech the video leaves out.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=FONT)
    plan = speech.plan
    seconds = max(speech.waveform.shape[-1] / speech.sample_rate, plan.frames / VIDEO_FPS)
    per_pixel = (WIDTH - 2 * MARGIN) / seconds
    for clip in plan.clips:
        left, right = (
            MARGIN + frame / VIDEO_FPS * per_pixel for frame in (clip.start_frame, clip.start_frame + clip.keep_frames)
        )
        draw.rectangle((left, HEAD, right, HEIGHT - MARGIN), fill=SHADES[clip.index % 2], outline=ORANGE)
        if right - left > 2 * FONT:
            draw.text((left + 8, HEAD + 4), str(clip.index + 1), fill=ORANGE, font=font)
    top = HEAD + FONT + 12
    middle, reach = (top + HEIGHT - MARGIN) // 2, (HEIGHT - MARGIN - top) // 2 - 6
    for column, peak in enumerate(_peaks(speech, WIDTH - 2 * MARGIN, seconds)):
        colour = LOUD if column / per_pixel < plan.frames / VIDEO_FPS else TAIL
        height = max(1, round(peak * reach))
        draw.line((MARGIN + column, middle - height, MARGIN + column, middle + height), fill=colour)
    draw.text((MARGIN, 4), plan.describe().replace(", ", "\n", 1), fill=INK, font=font)
    return as_image(picture)


def _peaks(speech: Speech, columns: int, seconds: float) -> np.ndarray:
    """Largest level in each column, relative to the loudest."""
    level = speech.waveform[0].abs().amax(dim=0).float().cpu().numpy()
    total = round(seconds * speech.sample_rate)
    borders = np.minimum(np.linspace(0, total, columns + 1).astype(int), len(level))
    peaks = [level[a:b].max() if b > a else 0.0 for a, b in pairwise(borders)]
    return np.asarray(peaks) / max(float(level.max()), 1e-9)
