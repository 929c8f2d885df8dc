"""Where a run's results go, and how they are written: an adapter, or of a model that was trained whole a base."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ...media.picture import read_picture
from ...training.run.adapter import save_trained
from ...training.run.base import save_base
from ...training.run.curves import PICTURE
from ...training.settings.sections import TrainSettings

log = logging.getLogger("cointeract")

RESULTS = "CoInteract"  # folder in the host's own
BASES = "diffusion_models"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run has left.

    Attributes:
        files: adapters in the host's `loras` folder, or a base in `diffusion_models`.
        name: the first of them as the host lists it.
        folder: curves, states and samples.
        steps: steps trained in all.
    """

    files: tuple[Path, ...]
    name: str
    folder: Path
    steps: int


def result_path(settings: TrainSettings) -> Path:
    """Where a run's result goes: the first of the host's folders of its kind."""
    folders = [Path(folder) for folder in folder_paths.get_folder_paths(BASES if settings.model.whole else "loras")]
    if settings.model.whole:
        folders.sort(key=lambda folder: folder.name != BASES)  # not into its old folder, models/unet, which comes first
    return folders[0] / RESULTS / f"{settings.run.name}.safetensors"


def listed_name(settings: TrainSettings, files: list[Path]) -> str:
    """The result as the host lists it; of several processes only the first has written it."""
    return f"{RESULTS}/{(files[0] if files else result_path(settings)).name}"


def save_result(
    tensors: Mapping[str, Tensor],
    settings: TrainSettings,
    dtype: torch.dtype,
    *,
    step: int,
    rows: int,
    identity: Mapping[str, Any],
) -> list[Path]:
    """Write what was trained and give the files.

    Args:
        tensors: from `Trainer.adapter`.
        dtype: of the base the run began with; a base is saved in it.
    """
    path = result_path(settings)
    if settings.model.whole:
        what, files = "base", [save_base(tensors, path, settings, dtype, step=step, rows=rows, identity=identity)]
    else:
        what, files = "adapter", save_trained(tensors, path, settings, step=step, rows=rows, identity=identity)
    log.info("The %s of %d steps is in %s", what, step, files[0])
    return files


def curves_picture(folder: Path) -> Tensor:
    """The run's `curves.png`, `[1, H, W, 3]` in 0-1."""
    return read_picture(folder / PICTURE, "curves")[None]
