"""Things that are timed in turn, and ratios of their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Case:
    """Something that is timed."""

    name: str
    run: Callable[[int], Any]  # with the number of the round


def time_in_turn(cases: list[Case], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every case in every round, after one round to warm up."""
    seconds: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            _finish(device)
            begun = time.perf_counter()
            case.run(number)
            _finish(device)
            if number:
                seconds[case.name].append(time.perf_counter() - begun)
    return seconds


def paired(seconds: dict[str, list[float]], one: str, other: str) -> float:
    """Median over rounds of the ratio within a round, which a machine that slows down in between does not bend.

    What ran again in a round makes another pair of it.
    """
    pairs = list(zip(seconds[one], seconds[other], strict=True))
    again = (f"{one} again", f"{other} again")
    if all(name in seconds for name in again):
        pairs += zip(*(seconds[name] for name in again), strict=True)
    return statistics.median(a / b for a, b in pairs)


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
