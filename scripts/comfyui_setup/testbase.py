"""Base directories, built once: one of random weights and sample inputs for the tests, one of the drawn world.

They lie beside each other, for the inputs of both have the names the shipped workflows load.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from comfyui_setup.hostenv import ROOT, Host, SetupError, run, say
from comfyui_setup.hostserver import make_base

TINY = ROOT / "scripts" / "tiny"
STAMP = ".cointeract.json"
TOY = ROOT / "toy"
TOY_WEIGHTS = TOY / "weights"
TOY_MODEL = "toy_model.safetensors"
# what a script writes with, beside itself: another content is another result
HELPERS = {
    "sample_inputs.py": (TINY / "drawn.py", TINY / "sample_training.py"),
    "toy_models.py": (
        TINY / "tiny_models.py",
        TOY / "packing.py",
        TOY / "world" / "scene.py",
        TOY / "world" / "voice.py",
        *sorted(TOY_WEIGHTS.glob("*.safetensors")),
    ),
    "toy_inputs.py": (*sorted(TOY.glob("*.py")), *sorted((TOY / "world").glob("*.py"))),
}
BUILT = {
    "tiny_models.py": "tiny models with random weights",
    "toy_models.py": "model, encoders and VAE of the drawn world",
    "toy_inputs.py": "inputs of the drawn world",
}


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


def toy_base(host: Host) -> Path:
    """Where the base directory of the drawn world lies."""
    return host.base.with_name("toy")


def prepare_toy(host: Host, scene: int) -> Path:
    """Make the base directory of the drawn world, with its trained model and the inputs of a scene, and return it.

    Args:
        host: the ComfyUI whose Python builds the files.
        scene: number of a test scene.

    Raises:
        SetupError: the trained model is not in the checkout, or a script that builds files failed.
    """
    model = TOY_WEIGHTS / TOY_MODEL
    if not model.is_file():
        raise SetupError(f"{model} is missing, and it comes with the repository: get it with git, or add --random.")
    base = toy_base(host)
    make_base(base)
    _build(host, "toy_models.py", base / "models", ())
    _build(host, "toy_inputs.py", base / "input", ("--scene", str(scene)))
    return base


def _build(host: Host, script: str, folder: Path, options: Sequence[str]) -> None:
    """Run a script that fills `folder`, unless the same script left the same files there before."""
    stamp = folder / STAMP
    programs = [TINY / script, *HELPERS.get(script, ())]
    made_by = hashlib.sha256(b"".join(path.read_bytes() for path in programs)).hexdigest()
    if stamp.is_file():
        before = json.loads(stamp.read_text(encoding="utf-8"))
        if before["script"] == made_by and before["options"] == list(options) and _holds(folder, before["files"]):
            return
    say(f"building {BUILT.get(script, 'sample inputs')}")
    stamp.unlink(missing_ok=True)
    before = _times(folder)
    command = [host.python, TINY / script, folder, *options]
    failure = f"The files in {folder} could not be built: see the end of scripts/tiny/{script}'s output."
    run(command, failure, with_host(host))
    times, sizes = _times(folder), _sizes(folder)
    written = {name: size for name, size in sizes.items() if times[name] != before.get(name)}
    record = {"script": made_by, "options": list(options), "files": written}
    stamp.write_text(json.dumps(record, indent=1), encoding="utf-8")


def with_host(host: Host) -> dict[str, str]:
    """Our environment for a program that imports ComfyUI's classes, our scripts or the drawn world."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (host.tree, TINY.parent, ROOT)))}


def _holds(folder: Path, files: dict[str, int]) -> bool:
    """Whether the files are there as they were; others may have joined them, such as trained adapters."""
    return files.items() <= _sizes(folder).items()


def _sizes(folder: Path) -> dict[str, int]:
    return {name: path.stat().st_size for name, path in _files(folder).items()}


def _times(folder: Path) -> dict[str, int]:
    return {name: path.stat().st_mtime_ns for name, path in _files(folder).items()}


def _files(folder: Path) -> dict[str, Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STAMP)
    return {path.relative_to(folder).as_posix(): path for path in files}
