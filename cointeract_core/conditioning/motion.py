"""Motion frames: what a clip continues from."""

from __future__ import annotations

from torch import Tensor

from ..constants import MOTION_FRAMES
from ..errors import InputError
from .images import quantise_8bit


def last_motion(frames: Tensor) -> Tensor:
    """The last 73 frames of the video so far, `[73, H, W, 3]`, in floating point.

    Raises:
        InputError: fewer frames.
    """
    if len(frames) < MOTION_FRAMES:
        raise InputError(
            f"The video so far has {len(frames)} frames, but a clip continues from the last {MOTION_FRAMES}; "
            "give it all frames of the clip before."
        )
    return frames[-MOTION_FRAMES:]


def reference_hand_over(frames: Tensor) -> Tensor:
    """The last 73 frames as the authors' program hands them over: cut down to 8 bits."""
    return quantise_8bit(last_motion(frames))
