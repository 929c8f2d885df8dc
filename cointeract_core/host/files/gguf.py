"""GGUF bases through the installed ComfyUI-GGUF pack, found by the node it registers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol

from torch import Tensor

from ...errors import ModelFileError
from ..objects import Patcher

NODE = "UnetLoaderGGUF"


class GgufPatcher(Patcher, Protocol):
    """The pack's `GGUFModelPatcher`."""

    patch_on_device: bool


def gguf_pack(what: str) -> ModuleType:
    """The pack's module that reads files and supplies the layers.

    Raises:
        ModelFileError: the pack is not installed, or is of a kind this one does not know.
    """
    import nodes

    node = nodes.NODE_CLASS_MAPPINGS.get(NODE)
    if node is None:
        raise ModelFileError(
            f"{what} is a GGUF file, but the ComfyUI-GGUF pack that reads them is not installed; install it, or choose "
            "a safetensors base."
        )
    module = sys.modules[node.__module__]
    absent = [name for name in ("gguf_sd_loader", "GGMLOps", "GGUFModelPatcher") if not hasattr(module, name)]
    if absent:
        raise ModelFileError(
            f"{what} is a GGUF file, but the installed GGUF pack lacks {', '.join(absent)}; update ComfyUI-GGUF."
        )
    return module


def read_gguf(what: str, path: Path) -> dict[str, Tensor]:
    """Tensors of a GGUF file, mapped from disk and still quantised.

    Raises:
        ModelFileError: no pack, or a file it cannot read.
    """
    pack = gguf_pack(what)
    try:
        answer = pack.gguf_sd_loader(str(path))
    except (ValueError, KeyError, IndexError, TypeError) as error:  # what its reader raises on damaged files
        raise ModelFileError(
            f"{what} cannot be read as a GGUF model ({error}), but a whole one was expected; download it again."
        ) from error
    tensors: dict[str, Tensor] = answer[0] if isinstance(answer, tuple) else answer  # newer versions give metadata too
    return tensors


def with_gguf_patching(patcher: Patcher) -> Patcher:
    """The pack's own patcher around a loaded model: it applies LoRAs to quantised weights."""
    pack = gguf_pack("The base")
    wrapped: GgufPatcher = pack.GGUFModelPatcher.clone(patcher)
    wrapped.patch_on_device = False
    return wrapped


def gguf_operations() -> object:
    """The pack's layer classes."""
    return gguf_pack("The base").GGMLOps()
