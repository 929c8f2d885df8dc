"""Write a file so that a half-written one is never left under its name, also where somebody holds the old one open."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import leftovers
from .errors import InputError

log = logging.getLogger("cointeract")

PATIENCE = 5.0  # seconds; virus scanners and indexers look at a new file for about one
PAUSE = 0.2


@dataclass(slots=True)
class Replacement:
    """Where to write, and where it is in the end: `path` is another name where the wanted one stayed in use."""

    beside: Path
    path: Path


@contextmanager
def replaced(path: Path, beside: Path | None = None, *, elsewhere: bool = True) -> Iterator[Replacement]:
    """Write `beside` inside; afterwards it takes the place of `path` in one step.

    Windows refuses that for as long as another program holds the old file open: it is tried for a few seconds, then
    the new one goes to the next free name, which the log tells.

    Args:
        path: of a file or a folder.
        beside: where to write, in the same folder; a name of this process by default.
        elsewhere: whether another name will do; not where the file is found again by its own.

    Raises:
        OSError: it can be put nowhere; nothing half-written is left behind.
    """
    done = Replacement(beside or leftovers.beside(path), path)
    try:
        yield done
        done.path = _moved(done.beside, path, elsewhere)
    finally:
        if done.beside.is_dir():
            shutil.rmtree(done.beside, ignore_errors=True)  # a later run clears away what is in use now
        else:
            done.beside.unlink(missing_ok=True)


def free_name(path: Path) -> Path:
    """`path`, or the first free name after it: ``ad2.mp4``, ``step_1_2.mp4``."""
    free, number = path, 1
    joint = "_" if path.stem[-1:].isdigit() else ""
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}{joint}{number}{path.suffix}")
    return free


def check_room(folder: Path, needed: float, what: str, remedy: str) -> None:
    """Whether so many bytes can be written.

    Raises:
        InputError: they cannot.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{what} {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free where {folder.name} lies; {remedy}."
        )


def _moved(beside: Path, path: Path, elsewhere: bool) -> Path:
    deadline = time.monotonic() + PATIENCE
    while not (beside.is_dir() and path.is_dir()):  # no system puts one folder into another's place
        try:
            return beside.replace(path)
        except PermissionError:
            if time.monotonic() > deadline:
                if not elsewhere:
                    raise
                break
            time.sleep(PAUSE)
    other = free_name(path)
    beside.replace(other)
    log.warning("%s is held open by another program; what was to take its place is in %s", path.name, other.name)
    return other
