"""What the demo in the drawn world asks for: options, widgets, words, files, and the lines it ends with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import demo
import pytest
from comfyui_setup import testbase
from comfyui_setup.hostenv import Host, SetupError
from demos import lesson, page_files, toy_files, toy_world
from graphs.api_prompt import convert

WORDS = ["a", "can", "presenter", "red"]
FACTS = {
    "width": 96,
    "height": 128,
    "words": WORDS,
    "negative": "",
    "shape": "heart",
    "sampling": {"seed": 42, "steps": 20, "cfg": 2.0, "shift": 3.0},
    "sample": {"seed": 1_000_000, "prompt": "a presenter", "first": 73, "frames": 160},
}


def refused(arguments: list[str], capsys) -> str:
    with pytest.raises(SystemExit):
        demo._parse(arguments)
    return capsys.readouterr().err


def test_options_that_do_not_go_together(capsys):
    assert "--samples goes with --random" in refused(["--samples", "."], capsys)
    assert "--scene does not go with --random" in refused(["--random", "--scene", "1"], capsys)
    assert "--prompt does not go with --train" in refused(["--train", "--prompt", "a can"], capsys)
    assert "--scene is -1, but a number from 0 to 999 is expected" in refused(["--scene", "-1"], capsys)


def test_options_that_do():
    assert demo._parse([]).scene == 0
    assert demo._parse(["--random", "--samples", "."]).random
    chosen = demo._parse(["--scene", "3", "--prompt", "a can", "--picture", "p.png", "--keep"])
    assert (chosen.scene, chosen.prompt, chosen.picture) == (3, "a can", Path("p.png"))


def test_words_the_world_has_not_are_said():
    assert toy_files.said_of_words("a red can\n---\na can", WORDS) is None
    said = toy_files.said_of_words("a zebra, a red zebra,\n---\nA can", WORDS)
    assert said == "the toy knows no word for “zebra,”, “A”; its words are: a can presenter red"


def test_a_workflow_that_asks_for_more_is_refused(repo: Path):
    toy_files.check_files(page_of(repo, "cointeract_ad"))
    toy_files.check_files(page_of(repo, "cointeract_train_lora"))
    for name, lacking in (("cointeract_ad_pose", "checkpoint_pose"), ("cointeract_ad_fast", "wan2.2_t2v_lightx2v")):
        with pytest.raises(SetupError, match=rf"^The workflow asks for {lacking}.* has not: add --random\.$"):
            toy_files.check_files(page_of(repo, name))


def page_of(repo: Path, name: str) -> dict:
    return json.loads((repo / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def test_values_of_a_video_are_those_of_the_world():
    values = toy_files.values_for(FACTS, "a red can", "toy")
    assert values["CoInteractPersonReference"] == {"size": "custom", "width": 96, "height": 128}
    assert values["CoInteractPrompts"] == {"prompts": "a red can", "negative": ""}
    assert values["CoInteractSampler"] == {**FACTS["sampling"], "filename_prefix": "CoInteract/toy"}


def test_the_lesson_trains_short_rows_as_they_are_sampled():
    values = lesson.training_values(FACTS)
    assert values["CoInteractTrainingData"] == {
        "size": "custom", "width": 96, "height": 128, "table": "cointeract_train/table.csv", "latents": 4,
    }  # fmt: skip
    assert values["CoInteractTrainingSettings"]["shift"] == 3.0
    assert values["CoInteractTrainingSettings"]["batch_size"] == 3


# of the nodes a page was saved with: two widgets with the page's own value behind the first
INFO = {
    "Noise": {
        "input": {"required": {"seed": ["INT", {"control_after_generate": True}], "steps": ["INT", {}]}},
        "display_name": "",
    }
}


def test_a_page_is_filled_in_by_name():
    page = {
        "nodes": [
            {"id": 1, "type": "Noise", "widgets_values": [7, "fixed", 40]},
            {"id": 2, "type": "Unknown", "widgets_values": ["real.safetensors"]},
        ],
        "links": [],
    }
    made = page_files.filled(page, INFO, {"Noise": {"steps": 20}}, {"fixed": "kept"})
    assert made["nodes"][0]["widgets_values"] == [7, "kept", 20]
    assert page["nodes"][0]["widgets_values"] == [7, "fixed", 40]
    made["nodes"].pop()
    assert convert(made, INFO)["1"]["inputs"] == {"seed": 7, "steps": 20}


FOUND = {"product": 0.97, "held": 0.9, "mouth": 0.812, "jump": 1.13, "shape": 0.0}


def test_the_line_about_a_video():
    line = toy_world.line_of_sample(FOUND, own_prompt=True)
    assert line == (
        "measured: the product is where it should be in 97% of the frames, in the named hand in 90%; mouth and "
        "loudness correlate by 0.81; between the clips the picture changes 1.1 times as much as from frame to frame"
    )
    assert "product" not in toy_world.line_of_sample(FOUND, own_prompt=False)


def test_the_line_about_the_lesson():
    line = lesson.line_of_lesson("heart", {**FOUND, "product": 0.5}, {**FOUND, "shape": 0.95})
    assert line == (
        "measured: of all shapes the heart fits the product best in 0% of the frames before the lesson and 95% after "
        "it; the product is where it should be in 50% and 97%"
    )


def test_a_model_that_is_not_there_is_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(testbase, "TOY_WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(testbase, "_build", lambda *_: None)
    host = Host(Path(sys.executable), tmp_path, tmp_path / "base")
    with pytest.raises(SetupError, match=r"comes with the repository: get it with git, or add --random\.$"):
        testbase.prepare_toy(host, 0)
    assert not (tmp_path / "base").exists()


def test_what_others_put_beside_built_files_is_theirs(tmp_path: Path, monkeypatch):
    """A trained adapter may be replaced or removed without everything being built anew."""
    (tmp_path / "fill.py").write_text(
        "import sys, pathlib; (pathlib.Path(sys.argv[1]) / 'model').write_text('x')\n", encoding="utf-8"
    )
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "adapter").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(testbase, "TINY", tmp_path)
    host = Host(Path(sys.executable), tmp_path)
    testbase._build(host, "fill.py", folder, ())
    (folder / "adapter").unlink()
    built = (folder / "model").stat().st_mtime_ns
    testbase._build(host, "fill.py", folder, ())
    assert (folder / "model").stat().st_mtime_ns == built
