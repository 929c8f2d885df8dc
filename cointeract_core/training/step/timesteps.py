"""Noise levels and dropped conditions of a training step, drawn from a generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...constants import TIMESTEPS
from ..settings.sections import SamplingSettings
from .noise import loss_weights, training_sigmas


@dataclass(frozen=True, slots=True)
class Dropped:
    """Conditions one sample does without: no prompt, no motion frames, no pose, silent speech."""

    prompt: bool
    motion: bool
    pose: bool
    audio: bool


def drop(settings: SamplingSettings, generator: torch.Generator, *, has_pose: bool, has_motion: bool) -> Dropped:
    """Draw what is dropped, in the published order; a pose is only drawn for where there is one (TR:180-320).

    Args:
        has_motion: without motion frames they count as dropped, whatever is drawn.
    """

    def drawn(share: float) -> bool:
        return torch.rand((), generator=generator).item() < share

    prompt, motion = drawn(settings.prompt_dropout), drawn(settings.motion_dropout)
    pose = has_pose and drawn(settings.pose_dropout)
    return Dropped(prompt, motion or not has_motion, pose, drawn(settings.audio_dropout))


def draw_timestep(settings: SamplingSettings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a noise level.

    `published` takes one of the 1000 shifted levels, each as often; `uniform` any level from 0 to 1, each as often;
    `logit_normal` shifts the sigmoid of a normal number, which spares both ends.

    Returns:
        the level and the weight of the loss at it (at the nearest of the 1000 levels), float32 scalars.
    """
    sigmas, weights = training_sigmas(settings.shift), loss_weights(settings.shift)
    if settings.timesteps == "published":
        level = int(torch.randint(TIMESTEPS, (), generator=generator))
        return sigmas[level], weights[level]
    if settings.timesteps == "uniform":
        sigma = torch.rand((), generator=generator)
    else:
        plain = torch.sigmoid(settings.logit_mean + settings.logit_std * torch.randn((), generator=generator))
        sigma = settings.shift * plain / (1 + (settings.shift - 1) * plain)
    return sigma, weights[(sigmas - sigma).abs().argmin()]
