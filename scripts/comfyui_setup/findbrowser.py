"""Chrome, Chromium or Edge for the browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "COINTERACT_CHROME"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
NONE_FOUND = f"No Chrome or Chromium was found: install one, or name its program in {VARIABLE}."
MAC_PROGRAMS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS_FOLDERS = ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")
WINDOWS_PROGRAMS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")


def find() -> Path | None:
    """The browser named in the environment, else the first one at a usual place."""
    return next((path for path in _places() if path.is_file()), None)


def _places() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        yield Path(named).expanduser()
        return
    yield from (Path(found) for found in map(shutil.which, NAMES) if found)
    if sys.platform == "darwin":
        yield from (Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in MAC_PROGRAMS)
    elif os.name == "nt":
        folders = [os.environ[name] for name in WINDOWS_FOLDERS if name in os.environ]
        yield from (Path(folder) / program for folder in folders for program in WINDOWS_PROGRAMS)


def install_debian() -> bool:
    """Install Debian's Chromium where that is allowed; whether it is there now.

    It needs a Linux with apt-get and the rights of root. Ubuntu's `chromium` is a snap and may fail; then the browser
    tests are skipped.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        if subprocess.run(["apt-get", *words], env=environment, capture_output=True, check=False).returncode:
            return False
    return find() is not None
