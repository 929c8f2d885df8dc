"""Files that are written beside their place carry their writer's mark, so that those of a killed one can be swept."""

from __future__ import annotations

import logging
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("cointeract")

LARGEST_PID = (1 << 31) - 1
LONGEST_HOST = 32  # characters of the machine's name
MARK = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)(_[a-z0-9_]+)?\.part(\.[a-z0-9]+)?$")


def writer_mark() -> str:
    """``host.pid`` of this process."""
    return f"{_this_host()}.{os.getpid()}"


def beside(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(f".{path.name}.{writer_mark()}.part")


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that are gone had begun to write into a folder; never anyone else's."""
    for path in list(folder.glob(".*.part*")):
        found = MARK.search(path.name)
        if found is None or found["host"] != _this_host() or is_running(int(found["pid"])):
            continue
        with suppress(FileNotFoundError):  # another run sweeps too
            path.unlink()
            log.info("%s was left half-written and is removed", path.name)


def is_running(pid: int) -> bool:
    """Whether a process of this machine is there; True for a number that no process can have, as it tells nothing."""
    import psutil  # ComfyUI needs it too; what the standard library has for this ends the process on Windows

    return pid > LARGEST_PID or psutil.pid_exists(pid)


def _this_host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:LONGEST_HOST] or "host"
