"""What a change must pass before its tests are run: lint, format, types and architecture, in seconds.

    python3 scripts/check.py

The first run makes the environment the tests use. The exit status is 0 where every check holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from comfyui_setup.hostenv import ROOT, WORK, SetupError, ready_host, say, stop_on_termination
from comfyui_setup.hostlock import setting_up

PACK = "cointeract_pack"  # the checkout as a package, whatever its folder is called; the tests name it so too
TYPED = (f"{PACK}.cointeract_core", f"{PACK}.nodes", f"{PACK}.toy")


def main() -> int:
    """Run every check, also after one that failed."""
    stop_on_termination()
    try:
        with setting_up():
            python = ready_host(tests=True).python
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    checks = {
        "lint": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        # whose tests of types are the check below
        "architecture": ["pytest", "-q", "tests/architecture", "--ignore=tests/architecture/test_types.py"],
    }
    failed = [name for name, command in checks.items() if not _holds(name, [python, "-m", *command], ROOT)]
    failed += [] if check_types(python) else ["types"]
    say(f"{', '.join(failed)}: see above" if failed else "every check holds")
    return 1 if failed else 0


def check_types(python: Path) -> bool:
    """Whether mypy has nothing to say of the pack."""
    with tempfile.TemporaryDirectory(prefix="cointeract types ") as folder:
        (Path(folder) / PACK).symlink_to(ROOT, target_is_directory=True)
        packages = [word for package in TYPED for word in ("-p", package)]
        options = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", WORK / "mypy"]
        return _holds("types", [python, "-m", "mypy", *options, *packages], Path(folder))


def _holds(name: str, command: list[str | Path], folder: Path) -> bool:
    say(name)
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, env={**os.environ, "MYPYPATH": str(folder)}, check=False).returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
