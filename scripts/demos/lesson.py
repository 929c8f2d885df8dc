"""The demo's lesson: the trained model learns a product shape that it has never seen, from three rows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from comfyui_setup.hostenv import ROOT, SetupError, run, say
from comfyui_setup.hostserver import Server
from comfyui_setup.testbase import with_host
from demos.runs import Page, Values, describe, make_video, read_workflow, run_workflow
from demos.toy_files import REAL_TO_TOY, read_facts, size_of, values_for
from demos.toy_world import measure
from tiny.sample_inputs import PRODUCT, TRAINING
from tiny.toy_inputs import LESSON, LESSON_FRAMES, LESSON_INPUTS

WORKFLOW = ROOT / "workflows" / "cointeract_train_lora.json"
RUN = "toy_lesson"
TABLE = f"{TRAINING}/table.csv"
STEPS, ROWS_OF_A_STEP = 300, 3
# what two slow cores do in three minutes; experts stay as they are, for a new shape is no new kind of region
SETTINGS: dict[str, Any] = {
    "rank": 16, "alpha": 16.0, "experts": False, "hoi_mode": "off", "schedule": "cosine", "warmup": 20,
    "router_loss": 0.0, "save_every": 0, "batch_size": ROWS_OF_A_STEP,
}  # fmt: skip
LEARNING_RATE = "1e-3"


def training_values(facts: Mapping[str, Any]) -> Values:
    """Widget values of the training workflow."""
    size, shift = size_of(dict(facts)), facts["sampling"]["shift"]
    return {
        "CoInteractTrainingData": {**size, "table": TABLE, "latents": LESSON_FRAMES // 4},
        "CoInteractTrainingSettings": {**SETTINGS, "shift": shift},
        "CoInteractTrainLora": {
            "name": RUN, "steps": STEPS, "learning_rate": LEARNING_RATE, "memory": "80gb", "resume": False,
        },
    }  # fmt: skip


def teach(server: Server, page: Page) -> None:
    """Make a clip, train, make the same clip again, and put both side by side."""
    facts = read_facts(server.base)
    scene = facts[LESSON]
    folder = server.base / "output" / "CoInteract" / "train" / RUN
    shutil.rmtree(folder, ignore_errors=True)
    files = {**REAL_TO_TOY, **LESSON_INPUTS}
    clips = {}
    # the model has experts of its own, so what was learnt is laid over it as a LoRA
    for name, lora in (("before", None), ("after", f"CoInteract/{RUN}.safetensors")):
        if lora is not None:
            say(f"training a LoRA for {STEPS} steps on {ROWS_OF_A_STEP} rows that show the {facts['shape']}")
            run_workflow(server, read_workflow(WORKFLOW), training_values(facts), REAL_TO_TOY)
            print(f"\n{folder / 'curves.png'}\n", flush=True)
        say(f"a scene with a {facts['shape']}, {name} the lesson: {scene['prompt']}")
        clips[name] = make_video(server, page, values_for(facts, scene["prompt"], f"lesson_{name}"), files, lora)
    if clips["before"].read_bytes() == clips["after"].read_bytes():
        raise SetupError("The trained adapter changes nothing: both clips are the same.")
    both = clips["after"].with_name("lesson.mp4")
    command = [server.host.python, ROOT / "scripts" / "demos" / "side_by_side.py", clips["before"], clips["after"]]
    command += [server.base / "input" / LESSON_INPUTS[PRODUCT], both]
    run(command, f"{both} could not be written.", with_host(server.host))
    describe(server.host, both)
    found = [measure(server.host, clip, LESSON, scene) for clip in clips.values()]
    print(line_of_lesson(facts["shape"], *found), flush=True)


def line_of_lesson(shape: str, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """One line about what was learnt, from the numbers of both clips."""
    shaped = f"of all shapes the {shape} fits the product best in {before['shape']:.0%} of the frames before the lesson"
    placed = f"the product is where it should be in {before['product']:.0%} and {after['product']:.0%}"
    return f"measured: {shaped} and {after['shape']:.0%} after it; {placed}"
