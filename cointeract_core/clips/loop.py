"""The loop over clips: sample, decode behind what came before, hand over motion frames.

Sampler, decoder and encoder are given as functions, so the same loop runs in ComfyUI and in tests against the published
numbers; a training's samples decode as it does.  Source: BI:115-160, PIPE:2236-2237, 2657.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioning.images import quantise_8bit
from ..conditioning.motion import last_motion
from ..constants import CLIP_FRAMES
from .plan import ClipPlan, VideoPlan
from .watch import check_finite

Sample = Callable[[ClipPlan, "Tensor | None"], Tensor]
Decode = Callable[[Tensor, int], Tensor]  # latents, and how many of the last frames are wanted
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class FinishedClip:
    """One clip of the video.

    Attributes:
        plan: which clip it is.
        target: its latents `[1, 16, 20, h, w]`.
        frames: what it adds to the video, `[keep, H, W, 3]` in 0-1.
    """

    plan: ClipPlan
    target: Tensor
    frames: Tensor


def decode_target(target: Tensor, before: Tensor, decode: Decode) -> Tensor:
    """Decode a clip with what stands before it in time, and keep its own 80 frames.

    Args:
        target: `[1, 16, 20, h, w]`.
        before: the person latent for the first clip (one latent), the motion latents for later ones (19).

    Returns:
        `[80, H, W, 3]` in 0-1.

    Raises:
        ResultError: latents or frames that are not numbers.
    """
    check_finite(target, "the latents of the clip")
    frames = decode(torch.cat([before.to(target), target], dim=2), CLIP_FRAMES)
    check_finite(frames, "the frames of the clip")
    return frames


def run_clips(
    plan: VideoPlan,
    person: Tensor,
    *,
    sample: Sample,
    decode: Decode,
    encode: Encode,
    eight_bit_hand_over: bool = False,
) -> Iterator[FinishedClip]:
    """Make the clips of a video one after the other.

    The first clip has no motion frames and encodes none.  Every later one continues from the last 73 frames of the
    clip before it, handed over in floating point; no frame is encoded twice.

    Args:
        plan: from `plan_video`.
        person: person latent `[1, 16, 1, h, w]`.
        sample: makes the latents of a clip from its plan and the motion latents `[1, 16, 19, h, w]`, or None.
        decode: the last frames `[frames, H, W, 3]` of latents, in 0-1.
        encode: frames to latents.
        eight_bit_hand_over: cut frames to 8 bits before they go anywhere, as the authors' program does.

    Raises:
        ResultError: latents, frames or motion frames that are not numbers.
    """
    motion: Tensor | None = None
    for clip in plan.clips:
        target = sample(clip, motion)
        frames = decode_target(target, person if motion is None else motion, decode)
        if eight_bit_hand_over:
            frames = quantise_8bit(frames)
        if clip.index + 1 < len(plan.clips):
            motion = encode(last_motion(frames))
            check_finite(motion, "the motion frames of the next clip")
        yield FinishedClip(clip, target, frames[: clip.keep_frames])
