"""Motion frames: what a clip continues from."""

from __future__ import annotations

from torch import Tensor

from ..constants import MOTION_FRAMES
from ..errors import InputError


def last_motion(frames: Tensor) -> Tensor:
    """The last 73 frames of the video so far, `[73, H, W, 3]`, in floating point.

    Raises:
        InputError: fewer frames.
    """
    if len(frames) < MOTION_FRAMES:
        raise InputError(
            f"previous_frames holds {len(frames)} frames, but a clip continues from the last {MOTION_FRAMES}; "
            "wire all images of the clip before."
        )
    return frames[-MOTION_FRAMES:]
