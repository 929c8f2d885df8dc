"""The base directory of the demo and the tests: tiny model files and sample inputs, built once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from comfyui_setup.hostenv import ROOT, Host, run, say
from comfyui_setup.hostserver import make_base

TINY = ROOT / "scripts" / "tiny"
STAMP = ".cointeract.json"
HELPERS = {"sample_inputs.py": ("drawn.py", "sample_training.py")}  # modules a script draws with


def prepare_base(host: Host, samples: Path | None = None) -> Path:
    """Make the base directory, its tiny models and its inputs, and return it.

    Args:
        host: the ComfyUI whose Python builds the files.
        samples: a folder with other inputs; the project's own by default.

    Raises:
        SetupError: a script that builds files failed.
    """
    base = host.base
    make_base(base)
    _build(host, "tiny_models.py", base / "models", ())
    _build(host, "sample_inputs.py", base / "input", () if samples is None else ("--samples", str(samples.resolve())))
    return base


def _build(host: Host, script: str, folder: Path, options: Sequence[str]) -> None:
    """Run a script that fills `folder`, unless the same script left the same files there before."""
    stamp = folder / STAMP
    programs = [TINY / script, *(TINY / name for name in HELPERS.get(script, ()))]
    made_by = hashlib.sha256(b"".join(path.read_bytes() for path in programs)).hexdigest()
    if stamp.is_file():
        before = json.loads(stamp.read_text(encoding="utf-8"))
        if before["script"] == made_by and before["options"] == list(options) and _holds(folder, before["files"]):
            return
    say(f"building {'tiny models with random weights' if script.startswith('tiny') else 'sample inputs'}")
    stamp.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(host.tree), str(TINY.parent))),
    }  # the host's classes have the shapes
    command = [host.python, TINY / script, folder, *options]
    run(
        command,
        f"The files in {folder} could not be built: see the end of scripts/tiny/{script}'s output.",
        environment,
    )
    record = {"script": made_by, "options": list(options), "files": _sizes(folder)}
    stamp.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _holds(folder: Path, files: dict[str, int]) -> bool:
    """Whether the files are there as they were; others may have joined them, such as trained adapters."""
    return files.items() <= _sizes(folder).items()


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STAMP)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
