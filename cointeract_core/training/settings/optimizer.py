"""The optimiser of a run: which, its rate, how many samples a step sees, and what is done to gradients and results.

Source: TR, `train.sh` of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from .rules import choice, number, refuse, whole

OPTIMISERS = ("adamw", "adamw8bit", "prodigy", "schedulefree")
SCHEDULES = ("constant", "cosine")
PRODIGY_LEAST = 0.01  # far below 1 it trains next to nothing
LARGEST_BATCH = 1024


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimiser, its rate over the run, and what is done to gradients and results.

    Attributes:
        warmup: steps in which the rate rises from 0.
        clip_norm: longest gradient; 0 leaves it alone.
        accumulation: batches per step (and process).
        batch_size: samples in each; those of one form go through the model together.
        ema: how much of the running average each step keeps; 0 switches it off.
    """

    name: str = "adamw"
    learning_rate: float = 1e-5  # train.sh
    weight_decay: float = 0.01
    schedule: str = "constant"
    warmup: int = 0
    clip_norm: float = 1.0
    accumulation: int = 1
    ema: float = 0.0
    batch_size: int = 1

    def __post_init__(self) -> None:
        choice("optimizer.name", self.name, OPTIMISERS)
        number("optimizer.learning_rate", self.learning_rate, 0, "the published value is 1e-05", 10, above=True)
        number("optimizer.weight_decay", self.weight_decay, 0, "0.01 is usual")
        choice("optimizer.schedule", self.schedule, SCHEDULES)
        whole("optimizer.warmup", self.warmup, 0, "0 starts at the full rate")
        number("optimizer.clip_norm", self.clip_norm, 0, "1 is usual and 0 switches it off")
        whole("optimizer.accumulation", self.accumulation, 1, "1 steps after every batch")
        whole("optimizer.batch_size", self.batch_size, 1, "1 takes samples one by one", LARGEST_BATCH)
        number("optimizer.ema", self.ema, 0, "0.99 is usual and 0 switches it off", 0.99999)
        if self.name == "prodigy" and self.learning_rate < PRODIGY_LEAST:
            expected = f"prodigy finds the rate and only multiplies it by this, so {PRODIGY_LEAST} or more is expected"
            raise refuse("optimizer.learning_rate", self.learning_rate, expected, "use 1")
        if self.name == "schedulefree" and self.ema:
            raise refuse("optimizer.ema", self.ema, "schedulefree keeps an average of its own", "use 0")

    @property
    def samples(self) -> int:
        """Samples of one step, of one process."""
        return self.accumulation * self.batch_size
