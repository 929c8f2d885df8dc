"""Whether the memory of the card suffices for a run, told before anything is loaded."""

from __future__ import annotations

import comfy.model_management
import comfy.sampler_helpers
import torch

from ...clips.parts import ClipScene
from ...constants import MOTION_LATENTS
from ...errors import InputError
from ..model.parking import is_dynamic
from ..objects import Patcher
from .conditions import clip_conditions

GIGA = 1e9


def forward_memory(patcher: Patcher, scene: ClipScene) -> float:
    """Bytes one pass of a scene's largest clip needs beside the weights, as the host counts them."""
    last = scene.speech.plan.clips[-1]
    shape = scene.person.latent.shape
    motion = None  # the first clip has none
    if last.index > 0:
        motion = torch.empty(1, shape[1], MOTION_LATENTS, *shape[-2:], device="meta")
    conditions = clip_conditions(scene, last, motion)
    values = [extra for _, extra in conditions.positive]
    needed: float = comfy.sampler_helpers.estimate_memory(patcher, conditions.latent.shape, {"positive": values})[1]
    return needed


def check_memory(patcher: Patcher, needed: float) -> str:
    """Compare what a run needs with what its device has.

    Args:
        needed: bytes beside the weights.

    Returns:
        how much of the weights finds room beside it, for the user.

    Raises:
        InputError: it cannot fit, however many weights stay in main memory.
    """
    device = patcher.load_device
    if comfy.model_management.is_device_cpu(device):
        return f"About {needed / GIGA:.1f} GB beside the weights."
    whole = comfy.model_management.get_total_memory(device) - comfy.model_management.extra_reserved_memory()
    if needed > whole:
        raise InputError(
            f"This run needs about {needed / GIGA:.1f} GB of video memory beside the weights, but ComfyUI can use "
            f"{whole / GIGA:.1f} GB here; choose a smaller video in Person Reference."
        )
    weights = patcher.model_size()
    if is_dynamic(patcher):
        return (
            f"About {needed / GIGA:.1f} GB of video memory beside the weights; ComfyUI brings the "
            f"{weights / GIGA:.1f} GB of weights in as they are needed and keeps those that find room."
        )
    resident = min(weights, whole - needed)
    note = f"About {needed / GIGA:.1f} GB of video memory beside {weights / GIGA:.1f} GB of weights"
    if resident < weights:
        return f"{note}; {(weights - resident) / GIGA:.1f} GB of them come from main memory in every pass."
    return f"{note}, which fit."
