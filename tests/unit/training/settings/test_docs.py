"""What docs/training.md shows can be used as it is."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from cointeract_pack.cointeract_core.training.settings.memory_modes import RECIPES
from cointeract_pack.cointeract_core.training.settings.toml import SECTIONS, load_settings


@pytest.fixture(scope="module")
def page(repo):
    return (repo / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_example_settings_load(page, tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    file = tmp_path / "my_product.toml"
    file.write_text(example, encoding="utf-8")
    settings = load_settings(file)
    assert settings.data.validation_rows == (7,)
    assert settings.memory.mode == "48gb"


def test_every_setting_is_explained(page):
    named = set(re.findall(r"`([\w.]+)`", page))
    written = {name.rpartition(".")[2] for name in named}
    files = {"base", "vae", "text_encoder", "audio_encoder"}  # in the example
    missing = [
        f"{section}.{field.name}"
        for section, kind in SECTIONS.items()
        for field in fields(kind)
        if field.name not in written | files | {"table", "name", "steps", "seed", "resume", "logit_mean", "logit_std"}
    ]
    assert missing == []


def test_every_memory_mode_is_explained(page):
    assert all(f"| {mode} |" in page for mode in RECIPES)
