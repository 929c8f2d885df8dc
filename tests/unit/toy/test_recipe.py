"""The recipe's settings are ones the trainer takes, and each stage goes on from the one before."""

from __future__ import annotations

import pytest

from cointeract_pack.cointeract_core.training.settings.toml import load_settings
from cointeract_pack.toy.recipe import STAGES, START, settings


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
    assert found.data.table == f"{stage.data.name}/table.csv"


def test_stages_follow_one_another():
    known = {None: START}
    for stage in STAGES.values():
        assert stage.begins_with in known
        assert f'base = "{known[stage.begins_with]}"' in settings(stage, 200)
        known[stage.name] = f"CoInteract/toy_{stage.name}.safetensors"
