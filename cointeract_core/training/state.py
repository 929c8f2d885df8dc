"""States of a run on disk: everything needed to go on as if nothing had happened, without pickle.

A state is a folder: trained parameters, optimiser and average as safetensors, the rest as JSON.  It is written beside
its place and renamed, so a folder under a state's name is always whole.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import InputError

NAME = re.compile(r"state_(\d{8})")
BEGUN = ".begun_"  # in front of a state that is being written
FACTS = "state.json"
NEEDED = {"step": int, "identity": dict, "optimiser": dict}  # of the facts
GROUPS = ("trained", "optimiser", "average")


@dataclass(frozen=True, slots=True)
class RunState:
    """A run after `step` steps.

    Attributes:
        tensors: by group (`GROUPS`) and name.
        facts: everything else, as JSON holds it.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    facts: dict[str, Any]


def save_state(root: Path, state: RunState, keep: int) -> Path:
    """Write a state into `root`, then remove older ones until `keep` are left.

    Args:
        keep: 0 keeps all.
    """
    root.mkdir(parents=True, exist_ok=True)
    place = root / f"state_{state.step:08}"
    beside = root / f"{BEGUN}{place.name}"
    _remove(beside)
    beside.mkdir()
    for group, tensors in state.tensors.items():
        if tensors:
            save_file(_contiguous(tensors), beside / f"{group}.safetensors")
    text = json.dumps({"step": state.step, **state.facts}, indent=1)
    (beside / FACTS).write_text(text, encoding="utf-8")
    _remove(place)  # the same step of a run that was resumed from before it
    beside.replace(place)
    if keep:
        for old in states(root)[:-keep]:
            _remove(old)
    return place


def states(root: Path) -> list[Path]:
    """Whole states in `root`, oldest first."""
    return sorted(path for path in root.glob("state_*") if NAME.fullmatch(path.name) and path.is_dir())


def remove_begun(root: Path) -> None:
    """Clear away states whose writing was cut off."""
    for path in root.glob(f"{BEGUN}*"):
        _remove(path)


def read_facts(folder: Path) -> dict[str, Any]:
    """The JSON part of a state.

    Raises:
        InputError: it cannot be read.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(folder) from error
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), kind) for name, kind in NEEDED.items()):
        raise _unreadable(folder)
    return facts


def load_state(folder: Path) -> RunState:
    """Read a state back, tensors on the CPU.

    Raises:
        InputError: it cannot be read.
    """
    facts = read_facts(folder)
    try:
        tensors = {
            group: load_file(path) if (path := folder / f"{group}.safetensors").is_file() else {} for group in GROUPS
        }
    except (OSError, SafetensorError) as error:
        raise _unreadable(folder) from error
    return RunState(facts.pop("step"), tensors, facts)


def _unreadable(folder: Path) -> InputError:
    return InputError(
        f"The saved state {folder.name} cannot be read, but a whole one was expected; remove that folder to resume "
        "from the one before it."
    )


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _remove(folder: Path) -> None:
    """Remove a state; under another name first, so that a cut leaves no half of one under its own."""
    if not folder.exists():
        return
    doomed = folder if folder.name.startswith(BEGUN) else folder.with_name(f"{BEGUN}old_{folder.name}")
    if doomed != folder:
        _remove(doomed)
        folder.replace(doomed)
    shutil.rmtree(doomed)
