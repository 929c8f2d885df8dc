"""One cell of the grid: data, training, measuring, and its numbers on disk; each part goes on where it was stopped."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_text
from ..generation import Sampling, open_host
from ..recipe import SHORT
from .cells import BASE, PLACEBO, STEPS, TABLE, Cell, as_toml, dense_file, result_file, run_name, settings
from .claims import SCENES
from .dense import write_dense
from .measured.host import has_gpu, open_pack
from .measured.rows import MEASURED, write_scenes
from .placebo import write_placebo

PROOF = "proof"  # below the work folder
LAST = 50  # steps of a training whose router accuracy and time are told
CURVES = ("hand_accuracy", "face_accuracy", "rgb", "hoi", "seconds")


@dataclass(frozen=True, slots=True)
class Options:
    """How the grid is run.

    Attributes:
        work: the recipe's folder, with data, models and base.
        base: the model that all cells begin with, as ComfyUI lists it.
        steps: of a cell of length 1.
        scenes: of each held-out part.
    """

    work: Path
    comfyui: Path
    base: str = BASE
    steps: int = STEPS
    scenes: int = SCENES
    sampling: Sampling = field(default_factory=lambda: Sampling(seed=0))

    @property
    def folder(self) -> Path:
        """Of the proof."""
        return self.work / PROOF

    @property
    def host(self) -> Path:
        """ComfyUI's base directory."""
        return self.work / "base"

    @property
    def models(self) -> Path:
        """Of transformers."""
        return self.host / "models" / "diffusion_models"

    def open(self) -> None:
        """Write the held-out scenes and bring ComfyUI up.

        Raises:
            ValueError: no ComfyUI, or no data or base in the work folder.
        """
        for path, stage in ((self.work / SHORT.name / TABLE, "base"), (self.models / self.base, "base")):
            if not path.is_file():
                raise ValueError(
                    f"{path.name} is not in {path.parent}, but the grid needs the recipe's data and base; run "
                    f"python -m toy.recipe {self.work} {stage} --prepare first."
                )
        for part in MEASURED:
            write_scenes(self.folder, part, self.scenes)
        open_host(self.comfyui, self.host)


def result_path(folder: Path, name: str, seed: int) -> Path:
    """Where a cell's numbers lie."""
    return folder / f"{name}_{seed}.json"


def run_cell(cell: Cell, seed: int, options: Options) -> int:
    """Train and measure a cell; the exit status is 0 where its numbers are written."""
    options.open()
    if status := train(cell, seed, options):
        return status
    from .measured.judge import Judge

    file = options.models / result_file(cell, seed)
    judge = Judge(options.folder, options.scenes, options.sampling)
    found = judge.judged(f"{cell.name}_{seed}", result_file(cell, seed), file, hoi_kept=cell.hoi_kept)
    told = {"cell": cell.name, "seed": seed, "steps": cell.steps(options.steps), "base": options.base}
    told |= {"parameters": parameters(file), "training": last_steps(options, cell, seed)}
    write_text(result_path(options.folder, cell.name, seed), json.dumps({**told, **found}, indent=1) + "\n")
    return 0


def train(cell: Cell, seed: int, options: Options) -> int:
    """Run the pack's training command unless it has finished; it resumes by itself."""
    from cointeract_pack.cointeract_core.host.train.command import run_command

    short = options.work / SHORT.name
    if cell.dense:
        write_dense(options.models / options.base, options.models / dense_file(options.base))
    if cell.placebo:
        write_placebo(short / TABLE, short / PLACEBO)
    config = options.folder / f"{run_name(cell, seed)}.toml"
    text = as_toml(settings(cell, seed, options.steps, options.base))
    if finished(options.models / result_file(cell, seed), config, text):
        return 0
    write_text(config, text)
    return int(run_command(config, options.comfyui, options.host, cpu=not has_gpu(), check_only=False))


def finished(file: Path, config: Path, text: str) -> bool:
    """Whether a training with these settings has left its model, which it writes at its very end."""
    return (
        file.is_file()
        and config.is_file()
        and config.read_text(encoding="utf-8") == text
        and file.stat().st_mtime > config.stat().st_mtime
    )


def parameters(file: Path) -> int:
    """How many numbers a model has at inference, by its file's header."""
    open_pack()
    from cointeract_pack.cointeract_core.checkpoint.header import read_headers
    from cointeract_pack.cointeract_core.checkpoint.keys import HOI

    header = read_headers([file], "model")
    return sum(math.prod(info.shape) for name, info in header.items() if not name.startswith(HOI))


def last_steps(options: Options, cell: Cell, seed: int) -> dict[str, Any]:
    """Means of a training's curves over its last steps; None where it has no such curve."""
    open_pack()
    from cointeract_pack.cointeract_core.training.run.curves import METRICS, read_rows

    path = options.host / "output" / "CoInteract" / "train" / run_name(cell, seed) / METRICS
    rows = read_rows(path)[-LAST:]
    found: dict[str, Any] = {}
    for name in CURVES:
        values = [value for row in rows if (value := row.values[name]) is not None]
        found[name] = statistics.fmean(values) if values else None
    return found
