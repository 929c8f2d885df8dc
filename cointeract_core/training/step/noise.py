"""Noise levels of training: timesteps, their weights, and the noised sample and its target (flow matching)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ...clips.schedule import published_sigmas, timesteps
from ...constants import TIMESTEPS


@lru_cache(maxsize=8)  # asked for with every sample
def training_sigmas(shift: float) -> Tensor:
    """The 1000 noise levels training draws from, `[1000]`, highest first; not to be written to."""
    with torch.inference_mode(False):  # the loss keeps them for its backward pass
        return published_sigmas(TIMESTEPS, shift)[:-1]


@lru_cache(maxsize=8)
def loss_weights(shift: float) -> Tensor:
    """Weight of the loss at each of the 1000 levels: a bell around timestep 500, 0 at its lowest, 1 on average.

    Returns:
        `[1000]`, in the order of `training_sigmas`; not to be written to.
    """
    with torch.inference_mode(False):
        bell = torch.exp(-2.0 * ((timesteps(training_sigmas(shift)) - TIMESTEPS / 2) / TIMESTEPS) ** 2)
        above = bell - bell.min()
        return above * (TIMESTEPS / above.sum())


def add_noise(sample: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """The sample at noise level `sigma`."""
    return (1 - sigma) * sample + sigma * noise


def flow_target(sample: Tensor, noise: Tensor) -> Tensor:
    """What the model learns to predict."""
    return noise - sample
