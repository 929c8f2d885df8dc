"""Settings as TOML: what is written is read back, and what cannot be read is told with its line."""

from __future__ import annotations

import sys
from dataclasses import fields

import pytest

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.training.settings.sections import DataSettings, LossSettings, TrainSettings
from cointeract_pack.cointeract_core.training.settings.toml import (
    SECTIONS,
    dump_toml,
    load_settings,
    settings_from,
    with_sections,
)

FILES = {"base": "s2v.safetensors", "vae": "vae.safetensors", "text_encoder": "t5.safetensors", "audio_encoder": "w2v"}
LEAST = {"model": FILES, "data": {"table": "rows.csv"}, "run": {"name": "soap"}}


def settings(**sections):
    """The least settings, with sections changed."""
    return settings_from({**LEAST, **{name: {**LEAST.get(name, {}), **values} for name, values in sections.items()}})


def refusal(make, *arguments):
    with pytest.raises(InputError) as caught:
        make(*arguments)
    return str(caught.value)


def everything_changed():
    """Settings of which none has its default value."""
    return settings(
        model={"adapter": "alt\\ädäpter “1” 🧼.safetensors", "base_dtype": "fp8_e4m3fn",
               "compute_dtype": "float32"},
        data={"table": 'C:\\rows "2"\\表.csv', "width": 0, "height": 0, "max_pixels": 500_000, "latents": 12,
              "bad_rows": "skip", "validation_rows": [4, 9]},
        lora={"rank": 16, "alpha": 8.0, "targets": ["audio"], "experts": False},
        hoi={"mode": "two_stage", "switch_step": 40},
        sampling={"prompt_dropout": 0.0, "motion_dropout": 1.0, "pose_dropout": 0.25, "audio_dropout": 0.2,
                  "timesteps": "logit_normal", "shift": 3.0, "logit_mean": -0.5, "logit_std": 1e-05},
        loss={"router": 0.1, "hoi": 1 / 3, "base_weight": 2.0, "hand_weight": 1e22, "face_weight": 0.0},
        optimizer={"name": "adamw8bit", "learning_rate": 1.2345678901234567e-06, "weight_decay": 0.0,
                   "schedule": "cosine", "warmup": 3, "clip_norm": 0.0, "accumulation": 4, "ema": 0.99,
                   "batch_size": 2},
        run={"name": "soap-2.b", "steps": 50, "seed": 2**63 - 1, "save_every": 7, "keep_last": 0, "validate_every": 5,
             "sample_every": 6, "sample_steps": 4, "resume": False, "keep_hoi": True, "official_names": True},
        memory={"mode": "48gb"},
    )  # fmt: skip


def test_toml_is_read_back_to_the_same_settings(tmp_path):
    changed = everything_changed()
    for name, kind in SECTIONS.items():
        section = getattr(changed, name)
        assert [key.name for key in fields(kind) if getattr(section, key.name) == key.default] == (
            ["train"] if name == "model" else []  # full does not go with some of these
        )
    for number, original in enumerate((settings(), changed, settings(model={"train": "full"}))):
        path = tmp_path / f"{number}.toml"
        path.write_text(dump_toml(original), encoding="utf-8")
        assert load_settings(path) == original
        assert dump_toml(load_settings(path)) == dump_toml(original)


def test_toml_holds_every_setting_under_its_section():
    lines = dump_toml(settings()).splitlines()
    assert [line for line in lines if line.startswith("[")] == [f"[{name}]" for name in SECTIONS]
    assert {"learning_rate = 1e-05", "validation_rows = []", "resume = true", 'name = "soap"'} <= set(lines)
    assert {field.name for field in fields(TrainSettings)} == set(SECTIONS)


def test_a_few_lines_are_enough(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        "# least\n[model]\nbase = 'a'\nvae = 'b'\ntext_encoder = 'c'\naudio_encoder = 'd'\n"
        "[data]\ntable = 'rows.csv'\n[run]\nname = 'soap'\n[loss]\nrouter = 0\n",
        encoding="utf-8-sig",  # as Notepad writes it
    )
    assert load_settings(path).loss == LossSettings(router=0)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="these are the words of tomllib; tomli may choose others")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[run]\nname soap\n", "Expected '=' after a key in a key/value pair (at line 2, column 6)"),
        ("[run]\nname = 'a'\nname = 'b'\n", "Cannot overwrite a value (at line 3, column 11)"),
        ("[run]\nsteps = 0x\n", "Expected newline or end of document after a statement (at line 2, column 10)"),
    ],
)
def test_toml_that_is_none_is_refused_with_its_line(text, problem, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    assert refusal(load_settings, path) == f"run.toml is not valid TOML ({problem}); correct that line."


def test_a_number_too_long_to_read_is_refused(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(f"[run]\nseed = 1{'0' * 5000}\n", encoding="utf-8")
    assert refusal(load_settings, path).startswith("run.toml is not valid TOML (")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert refusal(load_settings, tmp_path / "no.toml").startswith("no.toml cannot be read (")
    (tmp_path / "latin.toml").write_bytes("table = 'é'".encode("latin-1"))
    expected = ", but a TOML file is expected; check its path."
    assert refusal(load_settings, tmp_path / "latin.toml").endswith(expected)


def test_two_sources_are_joined_and_the_second_wins():
    data = DataSettings("rows.csv", latents=8)
    some = {"model": FILES, "run": {"name": "soap", "steps": 5}, "lora": {"rank": 4}}
    joined = with_sections(some, {"run": {"steps": 9}, "loss": {"hoi": 1.0}}, data)
    assert (joined.run.name, joined.run.steps, joined.lora.rank, joined.loss.hoi) == ("soap", 9, 4, 1.0)
    assert joined.data == data
    assert refusal(with_sections, some, {"lsos": {"hoi": 1.0}}, data).endswith("did you mean loss?")
