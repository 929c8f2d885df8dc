"""The demo on tiny models of random weights: it proves the pipeline, not the picture."""

from __future__ import annotations

import shutil
from typing import Any

from comfyui_setup.hostenv import ROOT, SetupError, say
from comfyui_setup.hostserver import Server
from demo_train import RUN, TINY_TRAINING, check_adapter, read_curves, training_values, what_was_learnt
from demos.runs import Page, describe, make_video, read_workflow, run_workflow
from tiny.tiny_models import REAL_TO_TINY

TRAINING_WORKFLOW = ROOT / "workflows" / "cointeract_train_lora.json"
# what two slow cores finish in a minute
TINY_VALUES: dict[str, dict[str, Any]] = {
    "CoInteractPersonReference": {"size": "custom", "width": 128, "height": 192},
    "CoInteractSampler": {"steps": 4},
}


def demonstrate(server: Server, page: Page) -> None:
    """Queue the workflow, follow it and describe its video."""
    person, sampler = TINY_VALUES["CoInteractPersonReference"], TINY_VALUES["CoInteractSampler"]
    say(
        f"queueing the workflow with tiny files of random weights, at {person['width']}x{person['height']} and "
        f"{sampler['steps']} steps: this shows that the pipeline works, and coloured noise"
    )
    describe(server.host, make_video(server, page, TINY_VALUES, REAL_TO_TINY))


def train(server: Server, page: Page) -> None:
    """Train on one row, and show that its adapter changes a clip."""
    folder, adapter = server.base / "output" / "CoInteract" / "train" / RUN, f"CoInteract/{RUN}.safetensors"
    shutil.rmtree(folder, ignore_errors=True)
    steps = TINY_TRAINING["CoInteractTrainLora"]["steps"]
    say(f"queueing the training workflow with tiny files of random weights: {steps} steps on one row")
    run_workflow(server, read_workflow(TRAINING_WORKFLOW), training_values(), REAL_TO_TINY)
    print(f"\n{folder / 'curves.png'}\n{what_was_learnt(read_curves(folder / 'metrics.csv'))}", flush=True)
    path = server.base / "models" / "loras" / adapter
    print(f"{path}\n{check_adapter(path)}\n", flush=True)

    say("queueing one clip with the adapter, and the same clip without it")
    values = {**TINY_VALUES, "CoInteractSpeechEncoder": {"max_clips": 1}}
    videos = [
        make_video(server, page, {**values, "CoInteractLoadModel": {"adapter": name}}, REAL_TO_TINY)
        for name in (adapter, "none")
    ]
    if videos[0].read_bytes() == videos[1].read_bytes():
        raise SetupError("The trained adapter changes nothing: both clips are the same.")
    for video in videos:
        describe(server.host, video)
