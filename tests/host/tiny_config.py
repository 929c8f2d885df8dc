"""The helper pack of the demo and the tests, loaded as ComfyUI loads a pack, and unloaded again."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

NAME = "tiny_host_config_of_tests"


@contextmanager
def tiny_host_config(repo: Path) -> Iterator[ModuleType]:
    """Meanwhile ComfyUI reads small text encoders, and leaves out products with zeros in a VAE."""
    import comfy.sd

    before = comfy.sd.load_clip, comfy.sd.VAE.__init__
    spec = importlib.util.spec_from_file_location(NAME, repo / "scripts/tiny/tiny_host_config/__init__.py")
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[NAME])
        yield sys.modules[NAME]
    finally:
        comfy.sd.load_clip, comfy.sd.VAE.__init__ = before
        for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
            del sys.modules[name]
