"""Run every golden file of a directory through the pack's code.

    python3 scripts/verify.py DIR

One line per file; the exit status is 0 only if every file holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hostenv import ROOT, SetupError, ready_host, stop_on_termination
from hostlock import setting_up


def main(arguments: list[str]) -> int:
    """Verify the directory named on the command line."""
    stop_on_termination()
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("Name one directory of golden files: python3 scripts/verify.py DIR", file=sys.stderr)
        return 2
    try:
        with setting_up():
            host = ready_host()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    environment = {**os.environ, "PYTHONPATH": str(host.tree)}
    command = [str(host.python), "-m", "cointeract_core.verify", str(Path(arguments[0]).resolve())]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
