"""How the blocks of one forward are run, the same for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor

from .inputs import Kernels
from .parts import Options, Patch

T = TypeVar("T")


class RunPart(Protocol):
    """How a part of a block is run."""

    def __call__(self, function: Callable[..., T], *arguments: object) -> T:
        """What `function` makes of its arguments."""


def run_part(function: Callable[..., T], *arguments: object) -> T:
    """Run a part of a block as it is; training may run it again instead of keeping what it makes."""
    return function(*arguments)


@dataclass(frozen=True, slots=True)
class Routing:
    """How the experts contribute, where they do."""

    gate: Tensor | None  # [B, 1, 1] where samples differ, else None
    bias_units: Tensor  # from `make_bias_units`


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """What is the same for all blocks of one forward."""

    kernels: Kernels
    options: Options
    routing: Routing | None  # None where the experts do not contribute
    logits: bool  # compute router logits even where the experts are off
    face: bool  # compute the face probability even where the experts are off
    mutual: bool
    patches: dict[str, list[Patch]] = field(default_factory=dict)  # of other packs, from `read_patches`
    part: RunPart = run_part


PATCHES = ("attn1_patch", "attn2_patch", "double_block")  # that the host's own transformer calls


def read_patches(options: Options) -> dict[str, list[Patch]]:
    """What other packs want called behind the self-attention, behind the prompt's, and behind a block."""
    registered = options.get("patches", {})
    return {name: registered[name] for name in PATCHES if registered.get(name)}
