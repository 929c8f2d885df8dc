"""The training part of the demo: what is trained, what must come of it, and a clip made with it."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import SetupError

RUN = "demo"
STEPS = 400
# what two slow cores overfit in a minute and a half; noise levels low enough that a tiny random model sees the picture
TINY_TRAINING: dict[str, dict[str, Any]] = {
    "CoInteractTrainingData": {"size": "custom", "width": 64, "height": 96, "latents": 8},
    "CoInteractTrainingSettings": {
        "rank": 16, "alpha": 16.0, "schedule": "cosine", "shift": 0.1, "router_loss": 4.0, "prompt_dropout": 0.0,
        "motion_dropout": 0.0, "pose_dropout": 0.0, "audio_dropout": 0.0, "save_every": 200,
    },
    "CoInteractTrainLora": {
        "name": RUN, "steps": STEPS, "learning_rate": "1e-2", "memory": "80gb", "adapter": "none", "resume": True,
    },
}  # fmt: skip
WINDOW = 40  # steps of a mean: every step draws another noise level
LEAST_FALL, LEAST_ACCURACY = 0.5, 0.95
HOI_PREFIX = "cointeract.hoi."


def training_values(name: str = RUN, **more: Any) -> dict[str, dict[str, Any]]:
    """Widget values of the training workflow on tiny models."""
    train = {**TINY_TRAINING["CoInteractTrainLora"], "name": name, **more}
    return {**TINY_TRAINING, "CoInteractTrainLora": train}


def read_curves(path: Path) -> list[dict[str, float]]:
    """Rows of a `metrics.csv`, without empty cells."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def mean(rows: Sequence[dict[str, float]], name: str) -> float:
    """Mean of one curve."""
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values)


def what_was_learnt(rows: Sequence[dict[str, float]]) -> str:
    """One line about a run.

    Raises:
        SetupError: the loss did not fall to half, or the router does not know faces and hands.
    """
    first, last = (mean(part, "loss") for part in (rows[:WINDOW], rows[-WINDOW:]))
    face, hand = (mean(rows[-WINDOW:], f"{part}_accuracy") for part in ("face", "hand"))
    line = (
        f"{len(rows)} steps: the loss fell from {first:.2f} to {last:.2f}; the router names {face:.1%} of the face "
        f"tokens and {hand:.1%} of the hand tokens rightly"
    )
    if last > first * LEAST_FALL or min(face, hand) < LEAST_ACCURACY:
        raise SetupError(f"Training did not learn its one row ({line}): half the loss and 95 % were expected.")
    return line


def tensor_names(path: Path) -> list[str]:
    """Names in a safetensors file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return [name for name in header if name != "__metadata__"]


def check_adapter(path: Path) -> str:
    """One line about an adapter.

    Raises:
        SetupError: it is not there, lacks a part, or still holds the HOI stream.
    """
    if not path.is_file():
        raise SetupError(f"The run has left no adapter at {path}.")
    names = tensor_names(path)
    lora = sum(".lora_" in name for name in names)
    experts = sum(name.startswith("cointeract.experts.") for name in names)
    hoi = sum(name.startswith(HOI_PREFIX) for name in names)
    if not lora or not experts or hoi:
        raise SetupError(
            f"{path.name} holds {lora} LoRA, {experts} expert and {hoi} HOI tensors, but the first two and no HOI "
            "tensors were expected."
        )
    return f"{lora} LoRA tensors, {experts} expert tensors and none of the HOI stream"
