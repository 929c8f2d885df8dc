"""A loss on rows that are not trained on, with noise that is the same every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..settings.sections import LossSettings
from ..step.noise import loss_weights, training_sigmas
from ..step.sample import TrainingSample
from ..step.step import ASYMMETRIC, Draw, sample_generator, step_losses
from ..step.timesteps import Dropped
from ..step.transformer import Transformer

LEVELS = (150, 350, 550, 750)  # of 1000, highest noise first: the experts take part in the last three
SHIFT = 5.0  # of the levels; fixed, so that runs with different settings can be compared
SEED = 20260419
NOTHING_DROPPED = Dropped(prompt=False, motion=False, pose=False, audio=False)


def validation_loss(
    dit: Transformer,
    samples: Sequence[Callable[[], TrainingSample]],
    loss: LossSettings,
    to_model: Callable[[Tensor], Tensor],
) -> float:
    """Mean flow loss of the target over all rows and levels, with every condition and without the HOI stream.

    Args:
        dit: with its LoRA attached.
        to_model: puts a tensor onto the model's device in its precision.
    """
    sigmas, weights = training_sigmas(SHIFT), loss_weights(SHIFT)
    found = []
    with torch.no_grad():
        for number, load in enumerate(samples):
            sample = load()
            noise = torch.randn(sample.alone.shape, generator=sample_generator(SEED, number))
            for level in LEVELS:
                drawn = Draw(NOTHING_DROPPED, sigmas[level], weights[level], noise, None)
                losses = step_losses(dit, sample, drawn, loss, visibility=ASYMMETRIC, to_model=to_model)
                found.append(losses.rgb.item())
    return sum(found) / len(found)
