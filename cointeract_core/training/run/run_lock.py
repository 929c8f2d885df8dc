"""One run writes into a folder: a lock that the system frees when its process ends, and that says who holds it."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ...errors import InputError, shown

log = logging.getLogger("cointeract")

LOCK = "run.lock"
FAR = 1 << 30  # the locked byte lies behind the text, which others may so read on Windows too


@contextmanager
def run_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold a run's folder for as long as the context lasts.

    The lock of a process that was killed is free again; its file is taken over.

    Args:
        name: of the run.

    Raises:
        InputError: another process, or another run of this one, holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("a+b") as file:
        if not _lock(file):
            raise InputError(
                f"The run {name} is being trained already, by {_holder(path)}, but only one may write into its folder; "
                "wait for it, stop it, or choose another name."
            )
        _write(file)
        try:
            yield
        finally:
            file.truncate(0)  # the file stays: removing it could pull it away from one who has just opened it


def _write(file: BinaryIO) -> None:
    who = {"pid": os.getpid(), "host": platform.node(), "since": datetime.now().astimezone().isoformat(" ", "seconds")}
    file.truncate(0)
    file.write(json.dumps(who).encode())
    file.flush()


def _holder(path: Path) -> str:
    """Who holds a lock, in words."""
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(who['pid'])} on {shown(who['host'])} since {shown(who['since'])}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"


def _lock(file: BinaryIO) -> bool:
    """Lock an open file; False where another holds it. Closing it, or the end of the process, frees it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network folders know no locks
        log.warning("%s cannot be locked (%s): see that no other run has this name", file.name, error.strerror)
    return True
