"""Try the pack on a ComfyUI, or run every golden file of a directory through its code.

    python3 scripts/verify.py [--comfyui DIR] [GOLDEN_DIR]

Without golden files, one sentence says whether the pack works on that ComfyUI (by default the checkout's own) as it
should. With them, there is a line per file. The exit status is 0 only if all of it holds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from comfyui_setup.hostenv import ROOT, SetupError, existing_host, ready_host, stop_on_termination
from comfyui_setup.hostlock import setting_up


def main(arguments: list[str]) -> int:
    """Verify the directory named on the command line."""
    parser = argparse.ArgumentParser(prog="verify.py", description="Try the pack on a ComfyUI, in seconds.")
    parser.add_argument("--comfyui", "--host", type=Path, metavar="DIR", help="the ComfyUI to try")
    parser.add_argument("golden", type=Path, nargs="?", metavar="GOLDEN_DIR", help="a directory of golden files")
    options = parser.parse_args(arguments)
    stop_on_termination()
    if options.golden is not None and not options.golden.is_dir():
        print(f"{options.golden} is no directory of golden files: name one, or leave it out.", file=sys.stderr)
        return 2
    try:
        with setting_up():
            host = ready_host() if options.comfyui is None else existing_host(options.comfyui)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    environment = {**os.environ, "PYTHONPATH": str(host.tree)}
    command = [str(host.python), "-m", "cointeract_core.verify"]
    command += [] if options.golden is None else [str(options.golden.resolve())]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
