"""Files that are written beside their place carry their writer's mark, so that those of a killed one can be swept."""

from __future__ import annotations

import logging
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("cointeract")

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
    """Whether a process of this machine is there; True where that cannot be told."""
    if os.name == "nt":
        return _is_running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _is_running_on_windows(pid: int) -> bool:
    """`os.kill` would end it there."""
    import ctypes

    limited, still_active, denied = 0x1000, 259, 5  # PROCESS_QUERY_LIMITED_INFORMATION, STILL_ACTIVE, ACCESS_DENIED
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(limited, False, pid & 0xFFFFFFFF)
    if not handle:
        return ctypes.get_last_error() == denied
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
    kernel.CloseHandle(ctypes.c_void_p(handle))
    return code.value == still_active


def _this_host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:LONGEST_HOST] or "host"
