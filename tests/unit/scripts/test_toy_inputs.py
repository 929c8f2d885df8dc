"""The inputs the demo takes from the drawn world."""

from __future__ import annotations

import csv
import json
import sys
import wave
from pathlib import Path

import pytest
from PIL import Image
from tiny import sample_inputs, toy_inputs


@pytest.fixture(scope="module")
def written(repo: Path, tmp_path_factory):
    """A folder of inputs, with what is said of them."""
    folder = tmp_path_factory.mktemp("input")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(repo)])
        toy_inputs.main([str(folder), "--scene", "2"])
    return folder, json.loads((folder / toy_inputs.FACTS).read_text(encoding="utf-8"))


def test_inputs_have_the_names_the_workflows_load(written, repo: Path):
    folder, facts = written
    loaded = json.loads((repo / "workflows" / "cointeract_ad.json").read_text(encoding="utf-8"))["nodes"]
    names = [node["widgets_values"][0] for node in loaded if node["type"] in {"LoadImage", "LoadAudio"}]
    assert len(names) == 3
    assert all((folder / name).is_file() for name in names)
    with Image.open(folder / sample_inputs.PERSON) as person:
        assert person.size == (facts["width"], facts["height"])


@pytest.mark.parametrize(("kind", "clips"), [(toy_inputs.SAMPLE, 2), (toy_inputs.LESSON, 1)])
def test_the_speech_is_as_long_as_the_clips(written, kind, clips):
    folder, facts = written
    name = sample_inputs.SPEECH if kind == toy_inputs.SAMPLE else toy_inputs.LESSON_INPUTS[sample_inputs.SPEECH]
    with wave.open(str(folder / name)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(clips * 3.2)
    assert facts[kind]["frames"] == clips * 80


def test_the_lesson_shows_its_shape_and_keeps_its_scene_back(written):
    folder, facts = written
    with (folder / sample_inputs.TRAINING / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert all(f" red {facts['shape']} " in row["prompt"] for row in (*rows, facts["lesson"]))
    assert not any(f"/{facts['lesson']['seed']:07d}_" in row["input_video"] for row in rows)


def test_rows_of_an_older_world_make_room(tmp_path: Path, repo: Path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(repo)])
    (tmp_path / "settings.json").write_text('{"version": 0}', encoding="utf-8")
    toy_inputs.write_rows(tmp_path)
    assert json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))["part"] == "lesson"


def test_facts_are_words_and_numbers_of_the_world(written):
    _, facts = written
    assert set(facts["sample"]["prompt"].split()) <= set(facts["words"])
    assert set(facts["sampling"]) == {"seed", "steps", "cfg", "shift"}
