"""The cells of the grid: what each trains, and the settings the trainer is given.

Two neighbours differ in what is tested and in nothing else. All begin with one base, and cells of one seed see the
same rows in the same order with the same noise, for the trainer draws both from `run.seed` and the sample's number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..generation import SHIFT
from ..recipe import MODELS, ROUTER_SHARE, SHORT
from ..world.palette import HEIGHT, WIDTH

BASE = "CoInteract/toy_base.safetensors"  # of the recipe's first stage
STEPS, BATCH = 600, 12
RATE, WARMUP_SHARE = 7e-4, 0.1  # about half of the rate the base was trained with
AVERAGE = 0.99  # over about a hundred steps
SAVE_EVERY = 50  # steps lost at most where a run is killed
OFF, ASYMMETRIC, MUTUAL = "off", "asymmetric", "mutual"
# arithmetic of a step with the HOI stream (asymmetric) over one without: rows of 4 latents, both passes, counted by
# `python -m toy.benchmark compute`
HOI_COMPUTE = 1.70
TABLE, PLACEBO = "table.csv", "proof_placebo.csv"
Sections = dict[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the grid.

    Attributes:
        neighbour: the cell it differs from in one thing; None for the first.
        tests: that thing.
        dense: begins with the base whose feed-forward layers are wider.
        router: share of the router's loss.
        hoi: mode of the HOI stream in training.
        hoi_kept: the stream is also there at inference.
        placebo: each row has the HOI video of another scene.
        trained_as: the cell whose training this one shares.
        length: of the training in steps of the others.
    """

    name: str
    neighbour: str | None
    tests: str
    dense: bool = False
    experts: bool = True
    router: float = ROUTER_SHARE
    hoi: str = OFF
    hoi_kept: bool = False
    placebo: bool = False
    trained_as: str | None = None
    length: float = 1.0

    def steps(self, steps: int) -> int:
        """Of its training, where the others have so many."""
        return round(steps * self.length)

    @property
    def training(self) -> str:
        """The cell whose training it is evaluated from."""
        return self.trained_as or self.name


CELLS = {
    cell.name: cell
    for cell in (
        Cell("no_experts", None, "the base, trained on", experts=False, router=0.0),
        Cell("dense", "no_experts", "as many parameters as with experts", dense=True, experts=False, router=0.0),
        Cell("experts_unsupervised", "no_experts", "router and experts", router=0.0),
        Cell("experts", "experts_unsupervised", "the router's loss"),
        Cell("hoi_asymmetric", "experts", "the HOI stream in training", hoi=ASYMMETRIC),
        Cell("hoi_mutual", "hoi_asymmetric", "the video sees the HOI stream in training", hoi=MUTUAL),
        Cell(
            "hoi_mutual_kept",
            "hoi_mutual",
            "the HOI stream at inference",
            hoi=MUTUAL,
            hoi_kept=True,
            trained_as="hoi_mutual",
        ),
        Cell("experts_more_steps", "experts", "the computing the HOI stream takes", length=HOI_COMPUTE),
        Cell("hoi_placebo", "hoi_asymmetric", "the right HOI video", hoi=ASYMMETRIC, placebo=True),
    )
}


def run_name(cell: Cell, seed: int) -> str:
    """Of the trainer's run."""
    return f"proof_{cell.training}_{seed}"


def result_file(cell: Cell, seed: int) -> str:
    """What the run leaves, as the host lists it."""
    return f"CoInteract/{run_name(cell, seed)}.safetensors"


def dense_file(base: str) -> str:
    """The widened base, as the host lists it."""
    return f"{base.removesuffix('.safetensors')}_dense.safetensors"


def settings(cell: Cell, seed: int, steps: int = STEPS, base: str = BASE) -> Sections:
    """The trainer's settings of a cell.

    Args:
        steps: of a cell of length 1.
        base: as the host lists it.
    """
    own = cell.steps(steps)
    return {
        "model": {"base": dense_file(base) if cell.dense else base, **MODELS, "train": "full"},
        "data": {
            "table": f"../{SHORT.name}/{PLACEBO if cell.placebo else TABLE}",
            "width": WIDTH,
            "height": HEIGHT,
            "latents": SHORT.latents,
        },
        "lora": {"experts": cell.experts},
        "hoi": {"mode": cell.hoi},
        "sampling": {"shift": SHIFT},
        "loss": {"router": cell.router},
        "optimizer": {
            "learning_rate": RATE,
            "schedule": "cosine",
            "warmup": min(round(own * WARMUP_SHARE), own - 1),
            "batch_size": BATCH,
            "ema": AVERAGE,
        },
        "run": {
            "name": run_name(cell, seed),
            "steps": own,
            "seed": seed,
            "save_every": SAVE_EVERY,
            "keep_last": 1,
            "keep_hoi": cell.hoi != OFF,
        },
        "memory": {"mode": "none"},
    }


def as_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Sections as TOML, whose plain values are written as JSON's are."""
    parts = []
    for name, section in sections.items():
        parts.append("\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]))
    return "\n\n".join(parts) + "\n"
