"""Fixtures every test shares: the pack under a synthetic name, the host, golden numbers, samples, server, browser.

The host has a top-level module `nodes`, so the checkout never lands on `sys.path`; the pack is imported as
`cointeract_pack` instead. Folders in `HOST_FOLDERS` need a real ComfyUI on the path while they are collected, and are
skipped with one sentence where there is none.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
TESTS = REPO / "tests"
PACK = "cointeract_pack"
HOST_FOLDERS = ("host", "parity", "nodes", "workflows", "browser")
FOLDER_MARKERS = {"host": "host", "nodes": "host", "parity": "parity", "workflows": "browser", "browser": "browser"}
NO_HOST = (
    "No ComfyUI was found: run python3 scripts/test.py, or name the folder of one in the environment variable "
    "COINTERACT_COMFYUI."
)


def _register_pack() -> None:
    """Make `cointeract_pack` importable: a package whose folder is the checkout, without running `__init__.py`."""
    if PACK not in sys.modules:
        package = types.ModuleType(PACK)
        package.__path__ = [str(REPO)]
        sys.modules[PACK] = package


def _find_host() -> Path | None:
    """The ComfyUI tree the tests run against."""
    named = os.environ.get("COINTERACT_COMFYUI")
    tree = Path(named).expanduser() if named else REPO / ".comfyui" / "ComfyUI"
    return tree.resolve() if (tree / "comfy" / "model_base.py").is_file() else None


def _base_directory() -> Path:
    """The base directory the set-up filled with tiny models and sample inputs."""
    return Path(os.environ.get("COINTERACT_BASE") or REPO / ".comfyui" / "base")


def _prepare_host(tree: Path) -> None:
    """Put the host on the path, on the CPU where there is no GPU, with its files kept out of its own tree."""
    if str(tree) in sys.path:
        return
    import torch

    sys.path.insert(0, str(tree))
    from comfy.cli_args import args

    base = Path(tempfile.mkdtemp(prefix="cointeract tests "))  # the blank is on purpose: such paths must work
    for folder in ("models", "input", "output", "user", "temp", "custom_nodes"):
        (base / folder).mkdir()
    args.cpu = not torch.cuda.is_available()
    args.base_directory = str(base)
    import utils.extra_config  # noqa: F401  before the host's `nodes`, which puts comfy/ and its utils.py in front


_register_pack()
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != REPO]  # `python -m pytest` adds it
sys.path.append(str(REPO / "scripts"))  # behind everything: only the set-up's own modules come from there
HOST = _find_host()


def _folder(path: Path) -> str:
    """First folder of a test below tests/."""
    parts = path.resolve().relative_to(TESTS).parts
    return parts[0] if len(parts) > 1 else ""


class _WithoutHost(pytest.Module):
    """A test module that cannot be imported because there is no host."""

    def collect(self):
        pytest.skip(NO_HOST, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Bring the host up before a module that needs it is imported."""
    if _folder(module_path) not in HOST_FOLDERS:
        return None
    if HOST is None:
        return _WithoutHost.from_parent(parent, path=module_path)
    _prepare_host(HOST)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder."""
    for item in items:
        marker = FOLDER_MARKERS.get(_folder(item.path))
        if marker:
            item.add_marker(marker)


def pytest_unconfigure() -> None:
    """Remove the base directory of the in-process host."""
    cli_args = sys.modules.get("comfy.cli_args")
    if cli_args is not None and cli_args.args.base_directory:
        shutil.rmtree(cli_args.args.base_directory, ignore_errors=True)


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def host() -> Path:
    """The ComfyUI tree, on the path and set to the CPU where there is no GPU."""
    if HOST is None:
        pytest.skip(NO_HOST)
    _prepare_host(HOST)
    return HOST


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The reference's numbers."""
    return TESTS / "parity" / "golden"


@pytest.fixture(scope="session")
def samples() -> Path:
    """Inputs published with the method; they are not part of the project."""
    folder = REPO.parent / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("The samples published with the method are not beside this checkout (../shared/samples).")
    return folder


@pytest.fixture(scope="session")
def faults() -> Path:
    """Small inputs that once failed; they are not part of the project."""
    folder = REPO.parent / "shared" / "faults"
    if not folder.is_dir():
        pytest.skip("The inputs that once failed are not beside this checkout (../shared/faults).")
    return folder


@pytest.fixture(scope="session")
def base_directory() -> Path:
    """Tiny models and sample inputs, as the set-up left them."""
    folder = _base_directory()
    if not (folder / "models").is_dir():
        pytest.skip("The tiny models are not built yet: run python3 scripts/test.py once.")
    return folder


@pytest.fixture(scope="session")
def server(host: Path, base_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A real ComfyUI server on a free loopback port, with a base directory of its own."""
    from comfyui_setup import hostserver

    folder = tmp_path_factory.mktemp("server base")
    with hostserver.test_server(host, base_directory, folder) as running:
        yield running


@pytest.fixture(scope="session")
def chrome() -> Path:
    """Chrome or Chromium for the browser tests."""
    from comfyui_setup import findbrowser

    found = findbrowser.find()
    if found is None:
        pytest.skip(findbrowser.NONE_FOUND)
    return found
