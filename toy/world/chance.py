"""Random numbers that follow from a seed and what they are for; drawing more for one thing changes no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

CHOICES, VOICE, VOICE_NOISE, FAULTS = range(4)  # what numbers are for
Value = TypeVar("Value")


def stream(seed: int, purpose: int) -> np.random.Generator:
    """Numbers of a seed for a purpose."""
    return np.random.Generator(np.random.PCG64([seed, purpose]))


def pick(random: np.random.Generator, values: Sequence[Value]) -> Value:
    """One of some values, by one number in 0-1: of all that NumPy draws, only those are the same in every version."""
    return values[int(random.random() * len(values))]


def between(random: np.random.Generator, low: float, high: float) -> float:
    """A number from `low` to `high`."""
    return low + (high - low) * float(random.random())
