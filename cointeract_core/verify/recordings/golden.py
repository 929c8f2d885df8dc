"""A golden file, and the comparisons made with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import safe_open
from torch import Tensor

Info: TypeAlias = dict[str, Any]  # what a file says of itself, as JSON has it; each kind says something else

FLOAT_TOLERANCE = 5e-6  # absolute, float32; the reference's own distance to float64 is about 1e-6


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the largest absolute difference and what is allowed."""

    name: str
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether it holds; NaN never does."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Golden:
    """Tensors and `info` of one file; a JSON file has info only."""

    path: Path
    info: Info
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def get(self, name: str) -> Tensor | None:
        """A tensor, or None where the file has none of that name."""
        return self.tensors.get(name)

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Tensors under `prefix`, without it."""
        return {key[len(prefix) :]: value for key, value in self.tensors.items() if key.startswith(prefix)}

    def neighbour(self, name: str) -> Golden:
        """Another file of the same directory."""
        return read_golden(self.path.with_name(name))


Handler = Callable[[Golden], Iterable[Check]]


def read_golden(path: Path) -> Golden:
    """Read a `.safetensors` file with an `info` entry, or a `.json` file."""
    if path.suffix == ".json":
        return Golden(path, json.loads(path.read_text(encoding="utf-8")))
    with safe_open(path, "pt") as file:
        info = json.loads((file.metadata() or {}).get("info", "{}"))
        return Golden(path, info, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118


def found_in(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    """What a file states in a sentence.

    Raises:
        ValueError: it does not.
    """
    found = pattern.search(text)
    if found is None:
        raise ValueError(f"{pattern.pattern!r} is not in {text!r}")
    return found


def compare(name: str, ours: Tensor, theirs: Tensor, tolerance: float = FLOAT_TOLERANCE) -> Check:
    """Largest absolute difference; infinite where the shapes differ."""
    if ours.shape != theirs.shape:
        return Check(f"{name} has shape {tuple(ours.shape)}, not {tuple(theirs.shape)}", float("inf"), tolerance)
    error = (ours.detach().double() - theirs.double()).abs().max().item() if theirs.numel() else 0.0
    return Check(name, error, tolerance)


def holds(name: str, truth: bool) -> Check:
    """A yes-or-no comparison."""
    return Check(name, 0.0 if truth else float("inf"), 0.0)


def worst(checks: Iterator[Check] | list[Check]) -> Check | None:
    """The check that fails, or else comes nearest to its tolerance."""
    return max(checks, key=lambda check: (not check.ok, check.error / max(check.tolerance, 1e-30)), default=None)


def same(name: str, ours: Tensor, theirs: Tensor) -> Check:
    """Exact equality of values."""
    return compare(name, ours.to(torch.float64), theirs, 0.0)
