"""Which decoded frames belong to a clip, and which of them to the video.

A clip is decoded behind what stands before it in time: the person latent (1 + 20 latents make 81 frames) or the
motion latents of the clip before (19 + 20 make 153).  Its own frames are the last 80 either way (BI:152).
"""

from __future__ import annotations

from torch import Tensor

from ..constants import CLIP_FRAMES, CLIP_TARGET_LATENTS, MOTION_LATENTS
from ..errors import InputError
from ..shapes import video_frames
from .plan import ClipPlan


def decoded_keep(first: bool) -> slice:
    """Where the clip's own frames lie among its decoded ones."""
    before = 1 if first else MOTION_LATENTS
    frames = video_frames(before + CLIP_TARGET_LATENTS)
    return slice(frames - CLIP_FRAMES, frames)


def trim(decoded: Tensor, clip: ClipPlan) -> Tensor:
    """What a clip adds to the video.

    Args:
        decoded: `[81, H, W, 3]` for the first clip, `[153, H, W, 3]` for later ones.

    Returns:
        `[keep, H, W, 3]`.

    Raises:
        InputError: another number of frames.
    """
    keep = decoded_keep(clip.index == 0)
    if len(decoded) != keep.stop:
        raise InputError(
            f"Clip {clip.index + 1} was decoded to {len(decoded)} frames, but {keep.stop} are expected; use the "
            "Wan 2.1 VAE (wan_2.1_vae.safetensors)."
        )
    return decoded[keep][: clip.keep_frames]
