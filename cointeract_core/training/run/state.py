"""States of a run on disk: everything needed to go on as if nothing had happened, without pickle.

A state is a folder: trained parameters, optimiser and average as safetensors, the rest as JSON.  It is written beside
its place and renamed, so a folder under a state's name is always whole.  Groups are written in files of about a
gigabyte, so that no second copy of everything is made on the way.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...errors import InputError
from ...files import check_room, free_name, replaced

log = logging.getLogger("cointeract")

NAME = re.compile(r"state_(\d{8})(_\d+)?")  # with a number behind it where the plain name stayed in use
BEGUN = ".begun_"  # in front of a state that is being written
FACTS = "state.json"
NEEDED = {"step": int, "identity": dict, "optimiser": dict}  # of the facts
GROUPS = ("trained", "optimiser", "average")
PART_BYTES = 1 << 30


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

    Returns:
        the state's folder.

    Raises:
        InputError: the disk is too full for it.
    """
    root.mkdir(parents=True, exist_ok=True)
    size = sum(tensor.nbytes for tensors in state.tensors.values() for tensor in tensors.values())
    remedy = "free some and run again, which goes on from the state before it"
    check_room(root, size, f"The state of step {state.step} takes", remedy)
    place = root / f"state_{state.step:08}"
    with replaced(place, free_name(root / f"{BEGUN}{place.name}")) as done:
        done.beside.mkdir()
        for group, tensors in state.tensors.items():
            for number, part in enumerate(_parts(tensors)):
                save_file(part, done.beside / _file_name(group, number))
        text = json.dumps({"step": state.step, **state.facts}, indent=1)
        (done.beside / FACTS).write_text(text, encoding="utf-8")
        _remove(place)  # the same step of a run that was resumed from before it
    if keep:
        for old in states(root)[:-keep]:
            _remove(old)
    return done.path


def check_room_for_run(root: Path, size: int, *, keep: int, to_come: int) -> None:
    """Whether a run's states find room: those kept, and one more while it is written.

    Args:
        size: of one state, in bytes.
        to_come: states the run has yet to write.

    Raises:
        InputError: they do not.
    """
    count = min(to_come, max(keep + 1 - len(states(root)), 1)) if keep else to_come
    remedy = "free some, or lower keep_last or raise save_every"
    check_room(
        root if root.is_dir() else root.parent,
        count * size,
        f"{count} states of this run, which are to come, take",
        remedy,
    )


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
    """Read a state back, tensors on the CPU and in the files: keep copies, for Windows removes no file in use.

    Raises:
        InputError: it cannot be read.
    """
    facts = read_facts(folder)
    try:
        tensors = {group: _read(folder, group) for group in GROUPS}
    except (OSError, SafetensorError) as error:
        raise _unreadable(folder) from error
    return RunState(facts.pop("step"), tensors, facts)


def _unreadable(folder: Path) -> InputError:
    return InputError(
        f"The saved state {folder.name} cannot be read, but a whole one was expected; remove that folder to resume "
        "from the one before it."
    )


def _file_name(group: str, number: int) -> str:
    return f"{group}.{number:03}.safetensors" if number else f"{group}.safetensors"


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors in turn, on the CPU, in parts of about `PART_BYTES`."""
    part: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if part and sum(one.nbytes for one in part.values()) + tensor.nbytes > PART_BYTES:
            yield part
            part = {}
        part[name] = tensor.detach().cpu().contiguous()
    if part:
        yield part


def _read(folder: Path, group: str) -> dict[str, Tensor]:
    """All parts of a group; without a first one there is none."""
    tensors: dict[str, Tensor] = {}
    number = 0
    while (path := folder / _file_name(group, number)).is_file():
        tensors |= load_file(path)
        number += 1
    return tensors


def _remove(folder: Path) -> None:
    """Remove a state; under another name first, so that a cut leaves no half of one under its own.

    One in use, as a virus scanner does it on Windows, stays: it costs room, not the run.
    """
    if not folder.exists():
        return
    try:
        doomed = folder
        if not folder.name.startswith(BEGUN):
            doomed = free_name(folder.with_name(f"{BEGUN}old_{folder.name}"))
            folder.replace(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        log.warning("The old state %s cannot be removed (%s); remove it yourself to have the room", folder.name, error)
