"""What the trace must not exceed, and what the authors' code and the host's class do by the same conventions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .model14b import Traced
from .tracing import Measures

TERA, PETA, GIGA = 1e12, 1e15, 1e9

# per size: kernels, bytes moved, peak activation, FLOPs of one forward with product and experts
OFFICIAL = {
    "480p": (4149, 3.09 * TERA, 8.70 * GIGA, 2.0782 * PETA),
    "720p": (4149, 7.07 * TERA, 20.05 * GIGA, 8.1137 * PETA),
}
BUDGETS = {"480p": (1900, 1.2 * TERA, 2.6 * GIGA, 2.070 * PETA), "720p": (1900, 2.7 * TERA, 6.0 * GIGA, 8.097 * PETA)}
PARAMETERS = 17_030_803_409
ROTATION_BYTES_PER_TOKEN = 1024
NAMES = ("kernels", "bytes moved", "peak activation", "FLOPs")


@dataclass(frozen=True)
class Verdict:
    """A number beside what is allowed."""

    name: str
    value: float
    allowed: float
    exact: bool = False

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return self.value == self.allowed if self.exact else self.value <= self.allowed


# bytes of video memory with the weights that only make constants parked, by size and precision
MEMORY = {"480p": {"bf16": 31 * GIGA, "fp8": 18 * GIGA}, "720p": {"bf16": 34.5 * GIGA, "fp8": 21.5 * GIGA}}
PARKED = 3_707_400_960  # parameters
ESTIMATE_OVER_NEED = 1.3  # by how much the host may be told too much
# of decoding the end of a later clip, as parts of the host's decoding of all of it; by how many latents the host's
# program takes a step (two from 0.17 on): a layer begins with a whole step
DECODING = {
    1: {"FLOPs": 0.70, "bytes moved": 0.65, "peak activation": 1.0},
    2: {"FLOPs": 0.71, "bytes moved": 0.66, "peak activation": 1.0},
}


def numbers(traced: Traced) -> tuple[float, float, float, float]:
    """The four numbers of `NAMES`."""
    return measured(traced.measures)


def measured(measures: Measures) -> tuple[float, float, float, float]:
    """The four numbers of `NAMES`."""
    return measures.kernels, measures.bytes_moved, measures.peak_bytes, measures.flops


def judge(
    routed: dict[str, Traced], unrouted: dict[str, Traced], plain: dict[str, Traced], parameters: int
) -> Iterator[Verdict]:
    """Every budget, by size.

    Args:
        routed: forwards with the experts on.
        unrouted: the same from timestep 900 on, where they are off.
        plain: the same of a model without experts.
    """
    yield Verdict("parameters", parameters, PARAMETERS, exact=True)
    for size, traced in routed.items():
        for name, value, allowed in zip(NAMES, numbers(traced), BUDGETS[size], strict=True):
            yield Verdict(f"{size} {name}", value, allowed)
        measures = traced.measures
        yield Verdict(
            f"{size} rotation table bytes per token", traced.rotation_bytes_per_token, ROTATION_BYTES_PER_TOKEN
        )
        yield Verdict(f"{size} bytes copied to the device", measures.uploads, 0)
        yield Verdict(f"{size} values read back from it", measures.read_backs, 0)
        yield Verdict(f"{size} text and speech K, V computed again", traced.constant_projections, 0)
    for size, traced in unrouted.items():
        yield Verdict(f"{size} router and expert calls from timestep 900 on", traced.router_calls, 0)
        without = plain[size].measures.by_kernel
        beyond = sum((traced.measures.by_kernel - without).values()) + sum(
            (without - traced.measures.by_kernel).values()
        )
        yield Verdict(f"{size} kernels from timestep 900 on that a model without experts has not", beyond, 0)


def judge_memory(memory: dict[str, Any]) -> Iterator[Verdict]:
    """Budgets of `memory14b.report`."""
    yield Verdict("parameters parked", memory["parameters parked"], PARKED, exact=True)
    for size, found in memory["sizes"].items():
        for precision, value in found["video memory"].items():
            yield Verdict(f"{size} video memory in {precision}", value, MEMORY[size][precision])
        parts = ("peak of a pass", "constants of a clip", "pose tokens", "first attention")
        needed, told = sum(found[part] for part in parts), found["estimate for the host"]
        yield Verdict(f"{size} memory the host is not told of", max(needed - told, 0), 0)
        yield Verdict(f"{size} memory the host is told of", told, needed * ESTIMATE_OVER_NEED)


def judge_decoding(decoding: dict[str, Any], latents_a_step: int) -> Iterator[Verdict]:
    """Budgets of decoding, by size."""
    for size, found in decoding.items():
        for name, part in DECODING[latents_a_step].items():
            yield Verdict(f"{size} decoding, {name}", found["ours"][name], part * found["host"][name])
