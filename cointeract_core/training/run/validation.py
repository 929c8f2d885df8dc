"""A loss on rows that are not trained on, with noise that is the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from ..settings.sections import LossSettings
from ..step.batch import groups_of
from ..step.noise import loss_weights, training_sigmas
from ..step.sample import TrainingSample
from ..step.step import ASYMMETRIC, Draw, StepInputs, losses_of, sample_generator, step_inputs
from ..step.timesteps import Dropped
from ..step.transformer import Transformer

LEVELS = (150, 350, 550, 750)  # of 1000, highest noise first: with the shift, experts take part in the last two
SHIFT = 5.0  # of the levels; fixed, so that runs with different settings can be compared
SEED = 20260419
NOTHING_DROPPED = Dropped(prompt=False, motion=False, pose=False, audio=False)


def validation_loss(
    dit: Transformer,
    samples: Sequence[Callable[[], TrainingSample]],
    loss: LossSettings,
    to_model: Callable[[Tensor], Tensor],
    batch_size: int = 1,
) -> float:
    """Mean flow loss of the target over all rows and levels, with every condition and without the HOI stream.

    Args:
        dit: with its LoRA attached.
        to_model: puts a tensor onto the model's device in its precision.
        batch_size: so many rows and levels at a time.
    """
    found: list[float] = []
    asked = _every_level(samples, to_model)
    with torch.no_grad():
        while batch := list(islice(asked, batch_size)):
            for given in groups_of(batch):
                found += [losses.rgb.item() for losses in losses_of(dit, given, loss)]
    return sum(found) / len(found)


def _every_level(
    samples: Sequence[Callable[[], TrainingSample]], to_model: Callable[[Tensor], Tensor]
) -> Iterator[StepInputs]:
    """What is asked of each row."""
    sigmas, weights = training_sigmas(SHIFT), loss_weights(SHIFT)
    for number, load in enumerate(samples):
        sample = load()
        noise = torch.randn(sample.alone.shape, generator=sample_generator(SEED, number))
        for level in LEVELS:
            drawn = Draw(NOTHING_DROPPED, sigmas[level], weights[level], noise, None)
            yield step_inputs(sample, drawn, ASYMMETRIC, to_model)
