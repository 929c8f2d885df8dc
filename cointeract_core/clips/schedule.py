"""The published noise schedule (FlowMatchScheduler of the reference: sigma_min 0, one extra step)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..constants import TIMESTEPS
from ..errors import InputError

ROUNDING = 1e-9


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


def negative_floor(sigmas: Tensor, until: float) -> float | None:
    """Noise level from which on the negative pass is left out.

    A level, not a number of calls, because some samplers call the model several times a step.

    Args:
        sigmas: `[steps + 1]`, falling.
        until: part of the steps, 0-1, that run the negative pass; rounded up to whole steps.

    Returns:
        The level of the first step without it; None where every step has it.

    Raises:
        InputError: a part outside 0-1.
    """
    if not 0 <= until <= 1:
        raise InputError(
            f"negative_until is {until:g}, but a part of the steps from 0 to 1 is expected; 1 is the published way."
        )
    steps = len(sigmas) - 1
    guided = math.ceil(until * steps - ROUNDING)  # 0.55 of 100 steps is 55.00000000000001 of them
    return None if guided >= steps else float(sigmas[guided])


def timesteps(sigmas: Tensor) -> Tensor:
    """Timesteps the model reads, 0-1000."""
    return sigmas * TIMESTEPS
