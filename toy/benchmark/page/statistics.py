"""Means with intervals over a few seeds, and paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Student's t, the quantile 0.975, for 1, 2, … degrees of freedom
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds and its 95 % interval; of one value there is none, so `half` is infinite.

    Attributes:
        values: of each seed.
    """

    mean: float
    half: float
    values: tuple[float, ...]

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half


def interval(values: Sequence[float]) -> Interval | None:
    """Mean and 95 % interval by Student's t; None of nothing.

    Raises:
        ValueError: more values than there are quantiles for.
    """
    known = tuple(value for value in values if math.isfinite(value))
    if not known:
        return None
    if len(known) == 1:
        return Interval(known[0], math.inf, known)
    if len(known) - 1 > len(T_975):
        raise ValueError(f"{len(known)} seeds are given, but at most {len(T_975) + 1} are expected; report fewer.")
    quantile = T_975[len(known) - 2]
    return Interval(statistics.fmean(known), quantile * statistics.stdev(known) / math.sqrt(len(known)), known)


def mean_of(scenes: Mapping[str, float | None]) -> float:
    """Mean over the scenes that have a number; not a number where none has."""
    known = [value for value in scenes.values() if value is not None]
    return statistics.fmean(known) if known else math.nan


def paired(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> float:
    """Mean difference over the scenes in which both have a number; not a number where there is none."""
    differences = []
    for scene, value in one.items():
        beside = other.get(scene)
        if value is not None and beside is not None:
            differences.append(value - beside)
    return statistics.fmean(differences) if differences else math.nan
