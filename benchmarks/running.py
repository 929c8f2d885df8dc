"""Start a measurement with the Python and the tree of a ComfyUI; standard library only."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACK = "cointeract_pack"  # the pack's folder may have any name, and its `nodes` must not hide the host's
HOST = "COINTERACT_COMFYUI"

Report = dict[str, Any]


def run(
    program: str,
    about: str,
    arguments: list[str],
    measure: Callable[..., Report],
    as_text: Callable[[Report], str],
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
) -> int:
    """Find a host, then measure and print; 0 only where the report says ok.

    Args:
        program: file that was started.
        about: its docstring.
        measure: what to do once the pack can be imported as `PACK`.
        as_text: its report for people; `--json` prints it for machines.
        add_arguments: declares more arguments; `measure` is given all of them then.
    """
    name = Path(program).stem
    parser = argparse.ArgumentParser(prog=name, description=about.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    if add_arguments is not None:
        add_arguments(parser)
    options = parser.parse_args(arguments)
    if HOST not in os.environ or importlib.util.find_spec("torch") is None:
        return _run_in_host(program, arguments)
    sys.path[:] = [os.environ[HOST], *(entry for entry in sys.path if Path(entry or ".").resolve() != ROOT)]
    package = types.ModuleType(PACK)
    package.__path__ = [str(ROOT)]
    sys.modules[PACK] = package
    logging.getLogger().setLevel(logging.ERROR)
    report = measure() if add_arguments is None else measure(options)
    sys.stdout.write(json.dumps(report, indent=1) + "\n" if options.json else as_text(report))
    return 0 if report["ok"] else 1


def part(name: str) -> Any:
    """A module of these benchmarks by its room and name, imported as part of the pack."""
    return importlib.import_module(f"{PACK}.benchmarks.{name}")


def _run_in_host(program: str, arguments: list[str]) -> int:
    """Start the program again with the Python and the tree of a ComfyUI."""
    sys.path.append(str(ROOT / "scripts"))
    hostenv = importlib.import_module("comfyui_setup.hostenv")
    try:
        named = os.environ.get(HOST)
        host = hostenv.existing_host(Path(named)) if named else hostenv.ready_host()
    except hostenv.SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    environment = {**os.environ, HOST: str(host.tree)}
    return subprocess.run([str(host.python), program, *arguments], env=environment, check=False).returncode
