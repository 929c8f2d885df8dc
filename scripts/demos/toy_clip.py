"""A video of the drawn world, read back; for programs that ComfyUI's Python runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiny.drawn import BT709, FULL, LIMITED

if TYPE_CHECKING:
    import numpy as np


def read_pictures(path: Path) -> np.ndarray:
    """Frames of an mp4 that our sampler wrote, `[T, H, W, 3]` uint8, in the colours it was tagged with."""
    import av
    import numpy as np

    with av.open(str(path)) as file:
        colours = {"src_colorspace": BT709, "src_color_range": LIMITED, "dst_color_range": FULL}
        frames = (frame.reformat(format="rgb24", **colours) for frame in file.decode(video=0))
        return np.stack([frame.to_ndarray() for frame in frames])


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Sound of an mp4, `[T]` float32 in -1 to 1, one channel of it, and its rate."""
    import av
    import numpy as np

    with av.open(str(path)) as file:
        rate = file.streams.audio[0].codec_context.sample_rate
        to_floats = av.AudioResampler(format="flt", layout="mono")
        blocks = [block for frame in file.decode(audio=0) for block in to_floats.resample(frame)]
        return np.concatenate([block.to_ndarray().reshape(-1) for block in blocks]), rate
