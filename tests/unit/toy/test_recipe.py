"""The recipe's settings are ones the trainer takes, and each stage goes on from the one before."""

from __future__ import annotations

import csv

import pytest

from cointeract_pack.cointeract_core.training.settings.toml import load_settings
from cointeract_pack.toy.dataset import COLUMNS
from cointeract_pack.toy.recipe import STAGES, START, settings, write_table


@pytest.mark.parametrize("name", STAGES)
def test_settings_are_read(tmp_path, name):
    stage = STAGES[name]
    path = tmp_path / f"{name}.toml"
    path.write_text(settings(stage, stage.steps), encoding="utf-8")
    found = load_settings(path)
    assert found.model.whole
    assert (found.data.size.width, found.data.size.height) == (96, 128)
    assert found.optimizer.samples == stage.batch
    assert found.lora.experts == stage.experts
    assert found.data.table == f"{stage.name}.csv"
    assert found.data.latents == max(data.latents for data in stage.data)


def test_stages_follow_one_another():
    known = {None: START}
    for stage in STAGES.values():
        assert stage.begins_with in known
        assert f'base = "{known[stage.begins_with]}"' in settings(stage, 200)
        known[stage.name] = f"CoInteract/toy_{stage.name}.safetensors"


def test_a_table_of_two_kinds_of_clips(tmp_path):
    stage = STAGES["model"]
    for data in stage.data:
        (tmp_path / data.name).mkdir()
        clip = {"prompt": data.name, "input_video": "clips/0000001_0073/input.mp4", "width": 96}
        with (tmp_path / data.name / "table.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerow(clip)
    write_table(tmp_path, stage)
    with (tmp_path / "model.csv").open(encoding="utf-8", newline="") as file:
        found = [row["input_video"] for row in csv.DictReader(file)]
    assert found == [f"{data.name}/clips/0000001_0073/input.mp4" for data in stage.data for _ in range(data.turns)]
