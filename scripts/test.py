"""Set up a real ComfyUI and run every test.

    python3 scripts/test.py [--comfyui DIR] [--frontend DIR] [LANE ...] [pytest's own arguments]

The lanes are the folders of tests/: architecture, unit, parity, host and browser. Where anything is chosen, by a lane,
a path or -k, the browser tests run only if they are named.

With --comfyui, the tests run on another ComfyUI than the checkout's own, in an environment made for it. With
--frontend, its servers show the page of that folder: one that ComfyUI's own --front-end-root takes, such as the
`comfyui_frontend_package/static` of an unpacked wheel. The exit status is pytest's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from comfyui_setup import findbrowser
from comfyui_setup.hostenv import ROOT, SetupError, ready_host, say, stop_on_termination
from comfyui_setup.hostlock import setting_up
from comfyui_setup.hostserver import FRONTEND_VARIABLE, find_frontend
from comfyui_setup.testbase import prepare_base

BROWSER = "browser"
LANES = ("architecture", "unit", "parity", "host", BROWSER)


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`, by default on all of tests/."""
    parser = argparse.ArgumentParser(prog="test.py", add_help=False, allow_abbrev=False)
    parser.add_argument("--comfyui", type=Path)
    parser.add_argument("--frontend", type=Path)
    options, arguments = parser.parse_known_args(arguments)
    stop_on_termination()
    try:
        frontend = None if options.frontend is None else find_frontend(options.frontend)
        with setting_up():
            host = ready_host(tests=True, comfyui=options.comfyui)
            base = prepare_base(host)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"COINTERACT_COMFYUI": str(host.tree), "COINTERACT_BASE": str(base)}
    environment |= {} if frontend is None else {FRONTEND_VARIABLE: str(frontend)}
    if not arguments or any(BROWSER in argument for argument in arguments):
        environment |= _browser()
    say("running the tests")
    command = [str(host.python), "-m", "pytest", *selected(arguments)]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as tests:
        try:
            return tests.wait()
        except BaseException:  # Ctrl+C reaches pytest by itself; `kill` does not
            tests.terminate()
            raise


def selected(arguments: list[str]) -> list[str]:
    """Arguments for pytest: lanes as their folders, and the browser tests left out where they were not named."""
    chosen = [f"tests/{argument}" if argument in LANES else argument for argument in arguments] or ["tests"]
    if arguments and not any(BROWSER in argument for argument in arguments):
        chosen.append(f"--ignore=tests/{BROWSER}")
    return chosen


def _browser() -> dict[str, str]:
    """The environment variable that names a browser; empty where there is none."""
    browser = findbrowser.find()
    if browser is None:
        say("looking for Debian's Chromium, for the browser tests")
        browser = findbrowser.find() if findbrowser.install_debian() else None
    if browser is None:
        say(f"the browser tests are skipped. {findbrowser.NONE_FOUND}")
        return {}
    return {findbrowser.VARIABLE: str(browser)}


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
