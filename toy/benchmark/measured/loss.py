"""What a model says of held-out rows without sampling: its flow loss with fixed noise, and what its router names."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...generation import SHIFT
from .rows import HeldOut, in_scale

if TYPE_CHECKING:
    from torch import Tensor

    from cointeract_pack.cointeract_core.host.train.model import TrainingModel

LEVELS = (100, 300, 500, 700, 900)  # of the 1000 of training, highest noise first
SEED = 20261129  # of the noise, with the scene's own number


@dataclass(frozen=True, slots=True)
class Held:
    """Means over rows and noise levels.

    Attributes:
        flow: error of the predicted flow of the video, not weighted by the noise level.
        hand_accuracy, face_accuracy: share of these tokens the router names rightly; None without a router.
    """

    flow: float
    hand_accuracy: float | None
    face_accuracy: float | None


def held_out_loss(model: TrainingModel, held: Sequence[HeldOut]) -> Held:
    """Ask a model, every condition given and without the HOI stream, which is how it samples.

    Args:
        model: from `host.model_in_training`.
    """
    import torch

    from cointeract_pack.cointeract_core.training.settings.sections import LossSettings
    from cointeract_pack.cointeract_core.training.step.noise import training_sigmas
    from cointeract_pack.cointeract_core.training.step.step import (
        ASYMMETRIC,
        Draw,
        losses_of,
        sample_generator,
        step_inputs,
    )
    from cointeract_pack.cointeract_core.training.step.timesteps import Dropped

    def to_model(tensor: Tensor) -> Tensor:
        return tensor.to(model.patcher.load_device, model.dtype)

    nothing = Dropped(prompt=False, motion=False, pose=False, audio=False)
    found = []
    for one in held:
        sample = in_scale(one, model.patcher.model.latent_format.process_in)
        noise = torch.randn(sample.alone.shape, generator=sample_generator(SEED, one.scene.seed))
        for level in LEVELS:
            drawn = Draw(nothing, training_sigmas(SHIFT)[level], torch.tensor(1.0), noise, None)
            with torch.no_grad():
                found += losses_of(model.dit, step_inputs(sample, drawn, ASYMMETRIC, to_model), LossSettings())
    return Held(
        flow=statistics.fmean(losses.rgb.item() for losses in found),
        hand_accuracy=_mean([losses.hand_accuracy for losses in found]),
        face_accuracy=_mean([losses.face_accuracy for losses in found]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
