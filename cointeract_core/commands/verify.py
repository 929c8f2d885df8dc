"""Does the pack work on this ComfyUI: ``python -m cointeract_core.verify``, from the pack's folder.

With a directory of golden files, recordings of the authors' program are run through our code instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .find_comfyui import put_on_path


def main(arguments: list[str]) -> int:
    """Run the command; the exit status is 0 where everything holds."""
    parser = argparse.ArgumentParser(prog="python -m cointeract_core.verify", description="Try the pack on a ComfyUI.")
    parser.add_argument("directory", type=Path, nargs="?", help="of golden files; without one, only ComfyUI is tried")
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="ComfyUI's folder, where the pack lies elsewhere")
    options = parser.parse_args(arguments)
    if put_on_path(options.comfyui) is None:
        return 2
    from ..verify.report import report

    return report(options.directory)
