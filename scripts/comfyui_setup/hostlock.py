"""Locks that end with the process, so that two runs of the scripts do not fill the same folders."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from comfyui_setup.hostenv import WORK, SetupError, say


@contextlib.contextmanager
def setting_up() -> Iterator[None]:
    """Hold the environment, the host and the tiny files; wait while another run sets them up."""
    with _open(WORK / "setup.lock") as file:
        if not _lock(file, wait=False):
            say("waiting for another run of these scripts to finish its set-up")
            _lock(file, wait=True)
        yield


@contextlib.contextmanager
def using(folder: Path) -> Iterator[None]:
    """Hold a base directory while a server writes into it.

    Raises:
        SetupError: another run holds it.
    """
    with _open(folder.parent / f"{folder.name}.lock") as file:
        if not _lock(file, wait=False):
            raise SetupError(f"Another demo is using {folder}: wait for it, or end it with Ctrl+C.")
        yield


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def _lock(file: BinaryIO, wait: bool) -> bool:
    """Lock an open file; closing it, or the end of the process, frees it."""
    if os.name == "nt":
        import msvcrt

        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return True
            except OSError:  # LK_LOCK gives up after ten seconds
                if not wait:
                    return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
