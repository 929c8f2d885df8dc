"""Whose turn it is: which row a sample of the run takes, and what is drawn for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from ..settings.sections import SamplingSettings
from ..step.sample import TrainingSample
from ..step.step import OFF, Draw, draw, sample_generator

Sample = Callable[[], TrainingSample]


@dataclass(frozen=True, slots=True)
class Turns:
    """Rows of a run in the order its seed gives them.

    Attributes:
        samples: the rows; called whenever one's turn comes.
    """

    samples: Sequence[Sample]
    settings: SamplingSettings
    seed: int

    def take(self, number: int, visibility: str) -> tuple[TrainingSample, Draw]:
        """Sample `number` of the run, and what is drawn for it."""
        sample = self.samples[row_of(number, len(self.samples), self.seed)]()
        generator = sample_generator(self.seed, number)
        return sample, draw(sample, self.settings, generator, hoi=visibility != OFF)


def row_of(number: int, rows: int, seed: int) -> int:
    """The row that sample `number` of a run takes: every row once, in a new order, before any comes again."""
    turn, place = divmod(number, rows)
    return _order(rows, seed + turn)[place]


@lru_cache(maxsize=4)
def _order(rows: int, seed: int) -> tuple[int, ...]:
    return tuple(torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist())
