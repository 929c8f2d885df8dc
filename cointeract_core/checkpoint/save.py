"""Write a model file so that a half-written one is never left under its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from ..files import replaced
from .keys import lora_to_official

FORMAT = {"format": "pt"}


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None, *, elsewhere: bool = True
) -> Path:
    """Write a safetensors file: beside its place first, then under its name in one step.

    Args:
        metadata: text kept in the header.
        elsewhere: see `replaced`.

    Returns:
        where it is: another name where another program held the old file open.

    Raises:
        OSError, SafetensorError: the folder cannot be written or is full; nothing half-written is left behind.
    """
    with replaced(path, elsewhere=elsewhere) as done:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, done.beside, {**FORMAT, **(metadata or {})})
    return done.path


def save_adapter(
    lora: Mapping[str, Tensor], extras: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write an adapter under the authors' names, so that their programs read it too.

    Args:
        lora: LoRA tensors in any accepted form.
        extras: router, experts and HOI stream under our names.

    Returns:
        where it is; see `save_tensors`.
    """
    return save_tensors({lora_to_official(name): tensor for name, tensor in {**lora, **extras}.items()}, path, metadata)
