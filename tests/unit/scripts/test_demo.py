"""What the demo says about events, refusals and videos."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_setup.hostenv import SetupError
from comfyui_setup.hostevents import Event
from demos import runs

NODES = {
    "3": {"name": "CoInteractSampler", "display_name": "CoInteract Sampler"},
    "4": {"name": "CLIPLoader", "display_name": ""},
}


@pytest.fixture(scope="module")
def demo():
    import demo

    return demo


def test_lines_of_progress():
    assert runs.progress_line(Event("executing", {"node": "3"}), NODES) == "CoInteract Sampler"
    assert runs.progress_line(Event("executing", {"node": "4"}), NODES) == "CLIPLoader"
    assert runs.progress_line(Event("executing", {"node": None}), NODES) is None
    assert runs.progress_line(Event("progress", {"node": "3", "value": 1, "max": 2}), NODES) is None
    line = runs.progress_line(Event("node_text", {"node": "3", "text": "clip 1/2, step 1/4"}), NODES)
    assert line == "    clip 1/2, step 1/4"


def test_a_failed_node_is_named():
    data = {"node_type": "CoInteractSampler", "exception_message": "audio is silent.\n"}
    with pytest.raises(SetupError, match=r"^CoInteract Sampler stopped: audio is silent\.$"):
        runs.progress_line(Event("execution_error", data), NODES)


def test_an_interrupted_run_is_said():
    with pytest.raises(SetupError, match=r"^The run was interrupted\.$"):
        runs.progress_line(Event("execution_interrupted", {}), NODES)


def test_a_refused_prompt_is_one_sentence():
    errors = [{"message": "Value not in list", "details": "vae_name: 'a' not in " + "x" * 5000}]
    answer = {"error": {"message": "bad"}, "node_errors": {"8": {"class_type": "VAELoader", "errors": errors}}}
    sentence = runs.refusal(answer)
    assert sentence.startswith("ComfyUI refused node 8 (VAELoader): Value not in list: vae_name: 'a' not in xxx")
    assert len(sentence) < 500
    assert runs.refusal({"error": {"message": "no outputs"}}) == "ComfyUI refused the workflow: no outputs"


VIDEO = {"width": 128, "height": 192, "frames": 150, "fps": 25.0, "constant": False, "silent": False}
SOUND = {"codec": "aac", "rate": 16000, "channels": 1, "seconds": 6.0}


def test_description_of_a_video():
    assert runs.description({**VIDEO, "audio": SOUND}) == (
        "128x192, 150 frames at 25 fps, 6.00 s; sound: aac, 16000 Hz, mono, 6.00 s"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": 0}, "no frames"),
        ({"audio": None, "silent": True}, "no sound stream"),
        ({"silent": True}, "a silent sound stream"),
        ({"constant": True}, "one and the same picture in all frames"),
    ],
)
def test_a_video_that_proves_nothing_is_a_failure(change, sentence):
    with pytest.raises(SetupError) as caught:
        runs.description({**VIDEO, "audio": SOUND, **change})
    assert str(caught.value) == f"The video has {sentence}: a moving picture with the speech was expected."


@pytest.mark.parametrize("text", ["{", "[]", '{"1": {"class_type": "A", "inputs": {}}}'])
def test_a_file_that_is_no_workflow(demo, tmp_path: Path, text: str, capsys):
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    assert demo.main(["--workflow", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(str(path))
    assert said.count("\n") == 1


def test_a_lora_is_laid_between_the_model_and_its_takers():
    loader = {"class_type": "CoInteractLoadModel", "inputs": {"base": "a"}}
    prompt = {"3": loader, "9": {"class_type": "CoInteractSampler", "inputs": {"model": ["3", 0], "seed": 3}}}
    made = runs.with_lora(prompt, "mine")
    assert made["9"]["inputs"] == {"model": ["10", 0], "seed": 3}
    assert made["10"]["inputs"] == {"model": ["3", 0], "lora": "mine", "strength": 1.0}
    assert made["3"] == loader
    assert prompt["9"]["inputs"]["model"] == ["3", 0]
