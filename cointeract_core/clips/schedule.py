"""The published noise schedule (FlowMatchScheduler of the reference: sigma_min 0, one extra step)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..constants import EXPERTS_OFF_FROM, TIMESTEPS
from ..errors import InputError


def published_sigmas(steps: int, shift: float, strength: float = 1.0) -> Tensor:
    """Noise levels of a run.

    Args:
        steps: denoising steps.
        shift: pushes the schedule towards high noise; 1 leaves it even.
        strength: where the run starts, 1 being pure noise.

    Returns:
        `[steps + 1]` float32, from high noise to 0.

    Raises:
        InputError: no steps, a shift that is not above 0, or a strength outside 0-1.
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, but at least 1 is expected; the published number is 40.")
    if not (shift > 0 and math.isfinite(shift)):
        raise InputError(f"shift is {shift:g}, but a number above 0 is expected; the published value is 7.")
    if not 0 < strength <= 1:
        raise InputError(f"strength is {strength:g}, but more than 0 and at most 1 is expected; use 1 for a new video.")
    even = torch.linspace(strength, 0.0, steps + 1, dtype=torch.float32)
    return shift * even / (1 + (shift - 1) * even)


def timesteps(sigmas: Tensor) -> Tensor:
    """Timesteps the model reads, 0-1000."""
    return sigmas * TIMESTEPS


def experts_on(timestep: float) -> bool:
    """Whether the experts contribute at this timestep."""
    return timestep < EXPERTS_OFF_FROM
