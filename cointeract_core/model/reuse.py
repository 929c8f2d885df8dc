"""What the passes of one sampling step have in common, kept from one pass to the next.

Positive and negative pass differ in prompt and speech, which enter behind the first block's self-attention: up to
there, and in everything made of the timestep, the second pass would repeat the first bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .inputs import SceneConstants
from .modulation import Modulation


@dataclass(frozen=True, slots=True)
class StepTime:
    """A timestep as the model reads it: its embedding `[B or 1, D]` for the head, and every block's modulation."""

    embedding: Tensor
    modulation: list[Modulation]


@dataclass(frozen=True, slots=True)
class _Attended:
    latents: Tensor
    timestep: Tensor
    scene: SceneConstants
    tokens: Tensor


class StepReuse:
    """The newest step of a run.

    Attributes:
        several: whether more than one pass is run with the same latents; else nothing large is kept.
    """

    def __init__(self) -> None:
        self.several = False
        self._time: tuple[Tensor, StepTime] | None = None
        self._attended: _Attended | None = None

    def time(self, timestep: Tensor, build: Callable[[], StepTime]) -> StepTime:
        """The timestep as the model reads it, built once a step."""
        kept = self._time
        if kept is None or not _same(kept[0], timestep):
            kept = self._time = timestep, build()
        return kept[1]

    def attended(self, latents: Tensor, timestep: Tensor, scene: SceneConstants, build: Callable[[], Tensor]) -> Tensor:
        """Main tokens behind the first block's self-attention, `[B, N, D]`; whoever takes them must not write."""
        kept, self._attended = self._attended, None  # a second pass is the last one: let go of it early
        if kept is not None and kept.scene is scene and _same(kept.timestep, timestep) and _same(kept.latents, latents):
            return kept.tokens
        del kept
        tokens = build()
        if self.several:
            self._attended = _Attended(latents.clone(), timestep, scene, tokens)
        return tokens

    def alone(self) -> None:
        """From here on one pass is run with the same latents: nothing large is kept for another."""
        self.several, self._attended = False, None

    def free(self) -> int:
        """Keep nothing, and say how many bytes went."""
        kept, self._time, self._attended = self._attended, None, None
        return 0 if kept is None else kept.tokens.nbytes


def samples_alike(x: Tensor) -> bool:
    """Whether all samples of a batch are the same, bit by bit."""
    return all(torch.equal(x[0], sample) for sample in x[1:])


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
