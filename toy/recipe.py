"""How the toy model is trained: data sets, settings and the pack's own training command, one stage after the other.

    python -m toy.recipe WORK STAGE [--steps N] [--prepare] [--comfyui DIR]

WORK is a folder of one's own; everything lies in it, and the same command goes on where it was stopped. Stages: `base`
learns the world from short clips; `experts` begins with what it left, and adds router, experts and HOI stream, and
clips of 80 frames that follow others; `model` goes on without the HOI stream, which costs half of the time.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .dataset import CLIPS, COLUMNS, TABLE
from .generation import SHIFT
from .held_out import TRAINING
from .world.palette import HEIGHT, WIDTH

ROOT = Path(__file__).resolve().parents[1]
MODELS = {
    "vae": "toy_vae.safetensors",
    "text_encoder": "toy_umt5.pt",
    "audio_encoder": "toy_wav2vec2.pt",
}
START = "toy_base.safetensors"  # random
ROUTER_SHARE = 0.05  # of the loss, as published
PRODUCTS = "bfloat16"  # of the training; on CPUs that multiply in it a step takes two thirds of the time
COMFYUI = "COINTERACT_COMFYUI"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Clips to train on, and how `toy.dataset` makes them.

    Attributes:
        latents: of a clip.
        turns: how often each comes while every other comes once.
    """

    name: str
    scenes: int
    options: tuple[str, ...]
    latents: int
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of the trainer.

    Attributes:
        data: one kind of clips, or several in one table.
        begins_with: the stage whose result it goes on from; None for random weights.
        batch: samples of a step.
    """

    name: str
    begins_with: str | None
    data: tuple[DataSet, ...]
    steps: int
    batch: int
    learning_rate: float
    experts: bool
    hoi: str
    motion_dropout: float = 0.0


SHORT = DataSet("short", 808, ("--frames", "16", "--no-motion"), 4)
MORE = DataSet("more", 808, (*SHORT.options, "--first", "5000", "--voices", "0"), 4)  # others with the same sounds
LONG = DataSet("long", 100, (), 20, turns=4)
OFTEN = replace(LONG, turns=2)
STAGES = {
    stage.name: stage
    for stage in (
        Stage("base", None, (SHORT,), 3000, 12, 1.5e-3, experts=False, hoi="off"),
        Stage("experts", "base", (SHORT, MORE, LONG), 700, 6, 1e-3, experts=True, hoi="asymmetric", motion_dropout=0.4),
        Stage("model", "experts", (SHORT, MORE, OFTEN), 540, 12, 1e-3, experts=True, hoi="off", motion_dropout=0.2),
    )
}


def main(arguments: list[str]) -> int:
    """Run one stage; the exit status is the training command's."""
    parser = argparse.ArgumentParser(prog="python -m toy.recipe", description="Train the toy model, stage by stage.")
    parser.add_argument("work", type=Path, help="a folder for data, models and runs")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--steps", type=int, help="fewer or more than the recipe's")
    parser.add_argument("--prepare", action="store_true", help="make its data and the models, and train nothing")
    parser.add_argument(
        "--comfyui", type=Path, default=os.environ.get(COMFYUI), help="a ComfyUI, by default the set-up's"
    )
    options = parser.parse_args(arguments)
    comfyui = options.comfyui or ROOT / ".comfyui" / "ComfyUI"
    stage = STAGES[options.stage]
    prepare(options.work, stage, comfyui)
    if options.prepare:
        return 0
    path = options.work / f"{stage.name}.toml"
    path.write_text(settings(stage, options.steps or stage.steps), encoding="utf-8")
    program = [ROOT / "scripts" / "tiny" / "tiny_training.py", comfyui, path, "--base-directory", options.work / "base"]
    return _run(program, {})


def prepare(work: Path, stage: Stage, comfyui: Path) -> None:
    """Make what a stage needs and is not there yet: folders, encoders, VAE, starting weights, clips and their table."""
    base = work / "base"
    make_folders(base)
    if not (base / "models" / "diffusion_models" / START).is_file():
        path = os.pathsep.join(map(str, (comfyui, ROOT / "scripts", ROOT)))
        _checked([ROOT / "scripts" / "tiny" / "toy_models.py", base / "models"], {"PYTHONPATH": path})
    for data in stage.data:
        words = [work / data.name, "--part", TRAINING, "--scenes", data.scenes, *data.options]
        _checked(["-m", "toy.dataset", *words], {})
    write_table(work, stage)


def make_folders(base: Path) -> None:
    """Make the folders ComfyUI expects in its base directory."""
    for folder in ("input", "output", "user", "temp", "custom_nodes", "models"):
        (base / folder).mkdir(parents=True, exist_ok=True)


def write_table(work: Path, stage: Stage) -> None:
    """Write the stage's table from those of its data sets, each row as often as its turns."""
    rows: list[dict[str, str]] = []
    for data in stage.data:
        with (work / data.name / TABLE).open(encoding="utf-8", newline="") as file:
            found = [{name: _seen_from(data, cell) for name, cell in row.items()} for row in csv.DictReader(file)]
        rows += found * data.turns
    with (work / f"{stage.name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _seen_from(data: DataSet, cell: str) -> str:
    return f"{data.name}/{cell}" if cell.startswith(f"{CLIPS}/") else cell


def settings(stage: Stage, steps: int) -> str:
    """The training command's settings of a stage, as TOML."""
    model = START if stage.begins_with is None else f"CoInteract/toy_{stage.begins_with}.safetensors"
    files = "\n".join(f'{kind} = "{name}"' for kind, name in MODELS.items())
    return f"""[model]
base = "{model}"
{files}
train = "full"
compute_dtype = "{PRODUCTS}"

[data]
table = "{stage.name}.csv"
width = {WIDTH}
height = {HEIGHT}
latents = {max(data.latents for data in stage.data)}

[lora]
experts = {str(stage.experts).lower()}

[hoi]
mode = "{stage.hoi}"

[sampling]
shift = {SHIFT}
motion_dropout = {stage.motion_dropout}

[loss]
router = {ROUTER_SHARE if stage.experts else 0.0}

[optimizer]
learning_rate = {stage.learning_rate}
schedule = "cosine"
warmup = {min(100, steps - 1)}
batch_size = {stage.batch}
ema = 0.999

[run]
name = "toy_{stage.name}"
steps = {steps}
save_every = 500
keep_last = 2
keep_hoi = {str(stage.hoi != "off").lower()}

[memory]
mode = "none"
"""


def _checked(words: Sequence[object], environment: dict[str, str]) -> None:
    status = _run(words, environment)
    if status:
        raise SystemExit(status)


def _run(words: Sequence[object], environment: dict[str, str]) -> int:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
