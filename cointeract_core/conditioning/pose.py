"""Pose frames: resampled by time, and the frames of a clip."""

from __future__ import annotations

import math

from torch import Tensor

from ..constants import CLIP_FRAMES, VIDEO_FPS
from ..errors import InputError

SLOWEST_FPS = 1.0  # below, one frame would stand for more than a second


def resample_times(frames: int, fps: float, target: float = VIDEO_FPS) -> list[int]:
    """For each frame at `target` frames a second, the source frame nearest in time.

    Raises:
        InputError: no frames, or a rate below 1 (or not a number).
    """
    if frames < 1:
        raise InputError("The pose has no frames, but at least one is expected; wire a pose video.")
    if not (fps >= SLOWEST_FPS and math.isfinite(fps)):
        raise InputError(
            f"fps is {fps:g}, but pose frames need a rate of at least {SLOWEST_FPS:g}; use the rate of the pose video."
        )
    count = max(1, nearest(frames * target / fps))
    return [min(nearest(number * fps / target), frames - 1) for number in range(count)]


def nearest(value: float) -> int:
    """Halves go up, always, so that a steady rate gives a steady pattern (`round` would alternate)."""
    return math.floor(value + 0.5)


def clip_pose(pose: Tensor, clip: int) -> Tensor:
    """Pose frames of one clip, for the VAE.

    The first stands twice, since the latent of the first is dropped after encoding; where the pose has ended, frames
    are empty (black), as in the published program.

    Args:
        pose: `[frames, H, W, 3]` in 0-1, at 25 frames a second.
        clip: number of the clip, from 0.

    Returns:
        `[81, H, W, 3]` in 0-1.
    """
    own = pose[clip * CLIP_FRAMES : (clip + 1) * CLIP_FRAMES]
    out = pose.new_zeros(CLIP_FRAMES + 1, *pose.shape[1:])
    out[1 : 1 + len(own)] = own
    out[0] = out[1]
    return out


def pose_note(pose_frames: int, video_frames: int) -> str | None:
    """A sentence where the pose ends before the video, else None."""
    if pose_frames >= video_frames:
        return None
    return (
        f"The pose ends after {pose_frames / VIDEO_FPS:.1f} s and the speech after {video_frames / VIDEO_FPS:.1f} s: "
        "from there on the video holds the empty pose."
    )
