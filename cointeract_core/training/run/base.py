"""What a run leaves that has trained every parameter: a base of its own, as the loaders read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...checkpoint.keys import HOI
from ...checkpoint.save import save_tensors
from ..settings.sections import TrainSettings
from .adapter import OF_LORA, describe

ARCHITECTURE = "wan-2.2-s2v-14b"


def save_base(
    model: Mapping[str, Tensor],
    path: Path,
    settings: TrainSettings,
    dtype: torch.dtype,
    *,
    step: int,
    rows: int,
    identity: Mapping[str, object],
) -> Path:
    """Write a whole model under our names, router and experts inside; without experts their mark is in it.

    The HOI stream is left out unless it should be continued.

    Args:
        model: all of it by name, from `Trainer.adapter`.
        path: of the file; an existing one is replaced in one step.
        dtype: to save it in.
        step, rows, identity: see `save_trained`.

    Returns:
        the file written.
    """
    kept = {
        name: tensor.to(dtype) for name, tensor in model.items() if settings.run.keep_hoi or not name.startswith(HOI)
    }
    facts = describe(settings, step=step, rows=rows, identity=identity, title=path.stem)
    metadata = {name: value for name, value in facts.items() if name not in OF_LORA}
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_tensors(kept, path, {**metadata, "cointeract.train": "full", "modelspec.architecture": ARCHITECTURE})
