"""The speech as a picture, with the borders of the clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..constants import VIDEO_FPS
from .parts import Speech

WIDTH, HEIGHT, MARGIN = 960, 200, 24
PAPER, WAVE, TAIL, BORDER, INK = (24, 26, 31), (96, 190, 255), (60, 68, 80), (255, 176, 64), (225, 228, 232)


def draw_timeline(speech: Speech) -> Tensor:
    """Peaks of the speech over time, one box per clip, `[1, H, W, 3]` in 0-1.

    Grey is what the last clip leaves out (or the silence the model hears after the end).
    """
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(picture)
    clips = speech.plan.clips
    seconds = max(
        speech.waveform.shape[-1] / speech.sample_rate,
        (clips[-1].start_frame + clips[-1].keep_frames) / VIDEO_FPS,
    )
    per_pixel = (WIDTH - 2 * MARGIN) / seconds
    end = speech.plan.frames / VIDEO_FPS
    middle = (HEIGHT + MARGIN) // 2
    for column, peak in enumerate(_peaks(speech, WIDTH - 2 * MARGIN, seconds)):
        colour = WAVE if column / per_pixel < end else TAIL
        reach = max(1, round(peak * (middle - MARGIN - 8)))
        draw.line((MARGIN + column, middle - reach, MARGIN + column, middle + reach), fill=colour)
    for clip in clips:
        left = MARGIN + clip.start_frame / VIDEO_FPS * per_pixel
        right = MARGIN + (clip.start_frame + clip.keep_frames) / VIDEO_FPS * per_pixel
        draw.rectangle((left, MARGIN, right, HEIGHT - 10), outline=BORDER)
        if right - left > 30:
            draw.text((left + 6, MARGIN + 4), str(clip.index + 1), fill=BORDER)
    draw.text((MARGIN, 6), speech.plan.describe(), fill=INK)
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[None]


def _peaks(speech: Speech, columns: int, seconds: float) -> np.ndarray:
    """Largest level in each column, relative to the loudest."""
    level = speech.waveform[0].abs().amax(dim=0).float().cpu().numpy()
    total = round(seconds * speech.sample_rate)
    borders = np.minimum(np.linspace(0, total, columns + 1).astype(int), len(level))
    peaks = [level[a:b].max() if b > a else 0.0 for a, b in zip(borders[:-1], borders[1:], strict=True)]
    return np.asarray(peaks) / max(float(level.max()), 1e-9)
