"""Names the file to blame where a model has computed what is not a number; asked only once that has happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import folder_paths
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import name_some
from ...finite import all_finite
from ..objects import Patcher
from .folders import ADAPTER_FOLDERS

REMEDY = "take it out or download it again"


def suspicion(patcher: Patcher | None, files: Sequence[str]) -> str:
    """A clause that names the LoRA at fault, or every file it may be.

    Args:
        patcher: the MODEL; None where it is not known.
        files: names of model files in the workflow, see `workflow.model_files`.
    """
    layers = [] if patcher is None else _broken_patches(patcher)
    if layers or patcher is None:
        broken = [name for name in files if _is_broken(name)]
        if broken:
            return f"{name_some(broken)} holds such values itself: {REMEDY}"
    if layers:
        return f"a LoRA on the model holds such values itself (for {name_some(layers)}): {REMEDY}"
    named = f" ({', '.join(files)})" if files else ""
    return f"look at the model's files{named}: leave out the LoRAs one by one, then try another weight_dtype"


def _broken_patches(patcher: Patcher) -> list[str]:
    """Layers whose LoRA holds NaN or infinity."""
    return [key for key, patches in patcher.patches.items() if any(map(_holds_broken, patches))]


def _holds_broken(patch: object) -> bool:
    """Whether a patch of the host, a nested tuple with an adapter in it, holds a tensor with such values."""
    if isinstance(patch, Tensor):
        return not all_finite(patch)
    if isinstance(patch, list | tuple):
        return any(map(_holds_broken, patch))
    return _holds_broken(getattr(patch, "weights", None)) if hasattr(patch, "weights") else False


def _is_broken(name: str) -> bool:
    """Whether a file in the folders of LoRAs and adapters holds such values; False where it cannot be read."""
    path = next((path for folder in ADAPTER_FOLDERS if (path := folder_paths.get_full_path(folder, name))), None)
    if path is None or Path(path).suffix.lower() not in (".safetensors", ".sft"):
        return False
    try:
        with safe_open(path, "pt") as file:
            return any(_holds_broken(file.get_tensor(key)) for key in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return False  # the question is only who to name
