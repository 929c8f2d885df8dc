"""Which settings must stay the same for a run to be resumed, and how a change is told."""

from __future__ import annotations

import json

import pytest

from cointeract_pack.cointeract_core.training.run.fingerprint import differences, fingerprint
from cointeract_pack.cointeract_core.training.settings.toml import plain_values, settings_from

FILES = {"base": "s2v.safetensors", "vae": "vae.safetensors", "text_encoder": "t5.safetensors", "audio_encoder": "w2v"}

# another value for every setting, and whether a run may be resumed with it
OTHER = {
    "model": {"base": ("x", True), "vae": ("x", True), "text_encoder": ("x", True), "audio_encoder": ("x", True),
              "adapter": ("x", True), "base_dtype": ("fp8_e4m3fn", False), "train": ("full", False),
              "compute_dtype": ("bfloat16", False)},
    "data": {"table": ("x.csv", True), "width": (640, False), "height": (640, False), "max_pixels": (10_000, False),
             "latents": (10, False), "bad_rows": ("skip", True), "validation_rows": ([3], False)},
    "run": {"name": ("x", False), "steps": (5, True), "seed": (1, False), "save_every": (1, True),
            "keep_last": (1, True), "validate_every": (1, True), "sample_every": (1, True), "sample_steps": (1, True),
            "resume": (False, True), "keep_hoi": (True, True), "official_names": (True, True)},
    "lora": {"rank": (4, False), "alpha": (4.0, False), "targets": (["ffn"], False), "experts": (False, False)},
    "hoi": {"mode": ("mutual", False), "switch_step": (7, False)},
    "sampling": {"prompt_dropout": (0.2, False), "motion_dropout": (0.2, False), "pose_dropout": (0.2, False),
                 "audio_dropout": (0.2, False), "timesteps": ("uniform", False), "shift": (3.0, False),
                 "logit_mean": (1.0, False), "logit_std": (2.0, False)},
    "loss": {"router": (0.1, False), "hoi": (0.1, False), "base_weight": (2.0, False), "hand_weight": (2.0, False),
             "face_weight": (2.0, False)},
    "optimizer": {"name": ("adamw8bit", False), "learning_rate": (1e-4, False), "weight_decay": (0.1, False),
                  "schedule": ("cosine", False), "warmup": (3, False), "clip_norm": (0.0, False),
                  "accumulation": (2, False), "ema": (0.9, False), "batch_size": (2, False)},
    "memory": {"mode": ("24gb", True)},
}  # fmt: skip
# settings that only go together with another
BESIDES = {"experts": {"loss": {"router": 0.0}}, "switch_step": {"hoi": {"mode": "two_stage", "switch_step": 5}}}
CASES = [(section, key, *case) for section, keys in OTHER.items() for key, case in keys.items()]


def settings(**sections):
    least = {"model": FILES, "data": {"table": "rows.csv"}, "run": {"name": "soap"}}
    return settings_from({**least, **{name: {**least.get(name, {}), **values} for name, values in sections.items()}})


def identity(rows="d", weights="m", processes=1, **sections):
    """A fingerprint as it comes back from a state's JSON."""
    made = fingerprint(settings(**sections), data_stamp=rows, model_stamp=weights, processes=processes)
    return json.loads(json.dumps(made))


def test_every_setting_is_decided_on():
    every = {name: set(values) for name, values in plain_values(settings()).items()}
    assert {name: set(keys) for name, keys in OTHER.items()} == every


@pytest.mark.parametrize(("section", "key", "value", "free"), CASES, ids=[f"{case[0]}.{case[1]}" for case in CASES])
def test_a_setting_may_change_on_the_way_or_not(section, key, value, free):
    before = BESIDES.get(key, {})
    after = {**before, section: {**before.get(section, {}), key: value}}
    found = differences(identity(**before), identity(**after))
    assert (found == []) == free


def test_a_fingerprint_is_json_and_the_same_again():
    made = fingerprint(settings(), data_stamp="d", model_stamp="m")
    assert json.loads(json.dumps(made)) == made
    assert differences(identity(), made) == []


def test_changes_are_told_with_both_values():
    now = identity(optimizer={"learning_rate": 1e-4}, lora={"targets": ["ffn"]}, hoi={"mode": "off"})
    assert differences(identity(), now) == [
        "lora.targets was ['self_attention', 'cross_attention', 'ffn', 'audio'] and is ['ffn']",
        "hoi.mode was asymmetric and is off",
        "optimizer.learning_rate was 1e-05 and is 0.0001",
    ]


def test_hashes_are_not_shown():
    assert differences(identity(), identity(rows="e", weights="n")) == ["data is another", "model is another"]


def test_a_setting_of_another_version_is_told():
    old = {name: value for name, value in identity().items() if name != "loss.hoi"}
    assert differences(old, identity()) == ["loss.hoi was None and is 0.5"]
    assert differences(identity(), old) == ["loss.hoi was 0.5 and is None"]


def test_steps_count_where_the_rate_follows_from_them():
    cosine = {"schedule": "cosine"}
    longer = identity(optimizer=cosine, run={"steps": 2000})
    assert differences(identity(optimizer=cosine), longer) == ["run.steps was 1000 and is 2000"]
    assert differences(identity(), identity(run={"steps": 2000})) == []


def test_processes_and_accumulation_count_together():
    alone = identity(optimizer={"accumulation": 4})
    assert differences(alone, identity(processes=4)) == []
    assert differences(alone, identity(processes=2, optimizer={"accumulation": 2})) == []
    assert differences(alone, identity(processes=2)) == ["samples per step was 4 and is 2"]


def test_batches_count_as_samples():
    alone = identity(optimizer={"accumulation": 6})
    assert differences(alone, identity(optimizer={"batch_size": 6})) == []
    assert differences(alone, identity(optimizer={"batch_size": 3}, processes=2)) == []
    assert differences(alone, identity(optimizer={"batch_size": 3})) == ["samples per step was 6 and is 3"]


def test_runs_that_were_begun_before_there_was_full_training_go_on():
    """Their states say nothing of it, and a run with its defaults writes the same."""
    assert not {"model.train", "optimizer.batch_size"} & identity().keys()
    old = identity()
    assert differences(old, identity(model={"train": "full"}))[0] == "model.train was lora and is full"
    whole = identity(model={"train": "full"})
    assert "model.train was full and is lora" in differences(whole, old)


def test_settings_of_lora_count_for_lora_only():
    whole = {"model": {"train": "full"}}
    assert differences(identity(**whole), identity(**whole, lora={"rank": 4, "alpha": 2.0, "targets": ["ffn"]})) == []
    assert differences(identity(**whole), identity(**whole, lora={"experts": False}, loss={"router": 0.0})) != []
