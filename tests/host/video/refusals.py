"""What the tests of bad inputs share: good inputs to put a bad one among, how a node is run, what it must answer.

The nodes are run as the host runs them; nothing is loaded and nothing is written in any of these cases.
Wrong model files are in `files/test_wrong_files.py` and `files/test_check_wired.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
import pytest
import torch

from cointeract_pack.cointeract_core.clips.parts import PersonReference, Prompts, Speech
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.errors import CoInteractError
from cointeract_pack.cointeract_core.shapes import VideoSize

SIZE = VideoSize(64, 96)
PERSON = PersonReference(torch.zeros(1, 16, 1, 12, 8), SIZE)
PROMPTS = Prompts(([[torch.zeros(1, 4, 8), {}]],), [[torch.zeros(1, 4, 8), {}]])
SPEECH = Speech(torch.zeros(25, 8, 160), torch.zeros(1, 1, 96000), 16000, plan_video(150, 1), False)
NO_NUMBERS = (
    "holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; look for the node before that made "
    "them."
)


def image(width: int = 64, height: int = 96, channels: int = 3, count: int = 1, value: float = 0.5) -> torch.Tensor:
    """Pictures of one value."""
    return torch.full((count, height, width, channels), value)


def run(node: Any, inputs: dict[str, Any], wired_models: dict[str, Any]) -> Any:
    """Run a node the way the host does; models are wired by their name."""
    wired = {
        name: wired_models.get(value, value) if isinstance(value, str) else value for name, value in inputs.items()
    }
    return node.PREPARE_CLASS_CLONE({}).execute(**wired)


def check_sentence(node: Any, inputs: dict[str, Any], sentence: str, wired_models: dict[str, Any]) -> None:
    """A node answers with exactly that sentence, and leaves no video."""
    output = Path(folder_paths.get_output_directory())
    written = sorted(output.rglob("*.mp4"))
    with pytest.raises(CoInteractError) as refusal:
        run(node, inputs, wired_models)
    assert str(refusal.value) == sentence
    assert sorted(output.rglob("*.mp4")) == written
