"""Settings of a training run: defaults, and what is refused in which words."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.settings.memory_modes import RECIPES
from cointeract_pack.cointeract_core.training.settings.sections import DataSettings
from cointeract_pack.cointeract_core.training.settings.toml import plain_values, settings_from

FILES = {"base": "s2v.safetensors", "vae": "vae.safetensors", "text_encoder": "t5.safetensors", "audio_encoder": "w2v"}
LEAST = {"model": FILES, "data": {"table": "rows.csv"}, "run": {"name": "soap"}}
SIDES = "use a multiple of 16 such as 480"
ROW_LIST = "a list of row numbers is expected; use [2, 7]"
TARGETS = "self_attention, cross_attention, ffn, audio"
NAMES = "at most 80 letters, digits, _, - and . are expected, no . or - first and no . last"
PRODIGY = "prodigy finds the rate and only multiplies it by this, so 0.01 or more is expected; use 1"

# section, its values, the whole error
BAD = [
    ("model", {"base": ""}, "model.base is “”, but a name is expected; name a file as ComfyUI lists it."),
    ("model", {"vae": 3}, "model.vae is 3, but a name is expected; name a file as ComfyUI lists it."),
    ("model", {"base": "a\nb"}, "model.base is “'a\\nb'”, but a name without control characters is expected; name a "
     "file as ComfyUI lists it."),
    ("data", {"table": " "}, "data.table is “ ”, but a name is expected; name a CSV file."),
    ("data", {"table": "\ud800"}, "data.table is “'\\ud800'”, but a name without control characters is expected; name "
     "a CSV file."),
    ("data", {"width": 482}, "data.width is 482, but a multiple of 16 from 64 on is expected; use 480."),
    ("data", {"height": 48}, "data.height is 48, but a multiple of 16 from 64 on is expected; use 64."),
    ("data", {"width": -16}, f"data.width is -16, but a whole number from 0 to 4096 is expected; {SIDES}."),
    ("data", {"width": 480.0}, f"data.width is 480.0, but a whole number from 0 to 4096 is expected; {SIDES}."),
    ("data", {"height": 8192}, f"data.height is 8192, but a whole number from 0 to 4096 is expected; {SIDES}."),
    ("data", {"width": 0}, "data.width x height is 0x832, but both or neither may be 0; give both."),
    ("data", {"height": 0}, "data.width x height is 480x0, but both or neither may be 0; give both."),
    ("data", {"max_pixels": 100}, "data.max_pixels is 100, but a whole number from 4096 on is expected; use 399360 for "
     "the area of 480x832."),
    ("data", {"latents": 1}, "data.latents is 1, but a whole number from 2 to 60 is expected; use 20 for clips of 80 "
     "frames."),
    ("data", {"bad_rows": "ignore"}, "data.bad_rows is “ignore”, but refuse, skip are known; choose one of them."),
    ("data", {"validation_rows": [1]}, "data.validation_rows is 1, but a whole number from 2 on is expected; rows are "
     "numbered from 2, the one under the header."),
    ("data", {"validation_rows": "3, 4"}, f"data.validation_rows is “3, 4”, but {ROW_LIST}."),
    ("data", {"validation_rows": 3}, f"data.validation_rows is 3, but {ROW_LIST}."),
    ("run", {"name": "a/b"}, f"run.name is “a/b”, but {NAMES}; use a name such as my_product."),
    ("run", {"name": ".."}, f"run.name is “..”, but {NAMES}; use a name such as my_product."),
    ("run", {"name": "soap."}, f"run.name is “soap.”, but {NAMES}; use a name such as my_product."),
    ("run", {"name": "a" * 81}, f"run.name is “{'a' * 81}”, but {NAMES}; use a name such as my_product."),
    ("run", {"name": 5}, f"run.name is 5, but {NAMES}; use a name such as my_product."),
    ("run", {"steps": 0}, "run.steps is 0, but a whole number from 1 on is expected; 1000 is a start for a few dozen "
     "rows."),
    ("run", {"steps": True}, "run.steps is True, but a whole number from 1 on is expected; 1000 is a start for a few "
     "dozen rows."),
    ("run", {"seed": -1}, "run.seed is -1, but a whole number from 0 to 9223372036854775807 is expected; use 0."),
    ("run", {"seed": 2**63}, "run.seed is 9223372036854775808, but a whole number from 0 to 9223372036854775807 is "
     "expected; use 0."),
    ("run", {"save_every": 0.5}, "run.save_every is 0.5, but a whole number from 0 on is expected; 0 switches it off."),
    ("run", {"sample_steps": 0}, "run.sample_steps is 0, but a whole number from 1 on is expected; 20 is enough to "
     "judge by."),
    ("run", {"resume": "no"}, "run.resume is “no”, but true or false is expected; write it without quotes."),
    ("run", {"keep_hoi": 1}, "run.keep_hoi is 1, but true or false is expected; write it without quotes."),
    ("model", {"base_dtype": "fp8_e4m3fn_fast"}, "model.base_dtype is “fp8_e4m3fn_fast”, but default, fp8_e4m3fn, "
     "fp8_e5m2 are known; choose one of them."),
    ("model", {"compute_dtype": "float16"}, "model.compute_dtype is “float16”, but default, float32, bfloat16 are "
     "known; choose one of them."),
    ("model", {"train": "all"}, "model.train is “all”, but lora, full are known; choose one of them."),
    ("model", {"train": "full", "base_dtype": "fp8_e5m2"}, "model.base_dtype is “fp8_e5m2”, but with model.train full "
     "every parameter is kept in float32, for small steps vanish in 8 bits; use default, or model.train lora."),
    ("optimizer", {"batch_size": 0}, "optimizer.batch_size is 0, but a whole number from 1 to 1024 is expected; 1 "
     "takes samples one by one."),
    ("lora", {"rank": 0}, "lora.rank is 0, but a whole number from 1 to 1024 is expected; the published rank is 128."),
    ("lora", {"rank": "128"}, "lora.rank is “128”, but a whole number from 1 to 1024 is expected; the published rank "
     "is 128."),
    ("lora", {"alpha": 0}, "lora.alpha is 0, but a number above 0 is expected; use the rank for a scale of 1."),
    ("lora", {"targets": []}, f"lora.targets is (), but some of {TARGETS} are expected; name at least one."),
    ("lora", {"targets": "ffn"}, f"lora.targets is “ffn”, but some of {TARGETS} are expected; name at least one."),
    ("lora", {"targets": ["ffn", "head"]}, f"lora.targets is “head”, but {TARGETS} are known; choose one of them."),
    ("lora", {"experts": False}, "lora.experts is false, but without an adapter there are no experts to route to; "
     "train the experts, or choose an adapter that has them."),
    ("hoi", {"mode": "on"}, "hoi.mode is “on”, but asymmetric, mutual, two_stage, off are known; choose one of them."),
    ("hoi", {"mode": "two_stage"}, "hoi.switch_step is 0, but two_stage needs a step to switch at; use half of the "
     "steps."),
    ("hoi", {"mode": "two_stage", "switch_step": 1000}, "hoi.switch_step is 1000, but a step before the last, 1000, is "
     "expected; use half of the steps."),
    ("hoi", {"mode": "two_stage", "switch_step": -5}, "hoi.switch_step is -5, but a whole number from 0 on is "
     "expected; use 0 except for two_stage."),
    ("hoi", {"switch_step": 5}, "hoi.switch_step is 5, but mode asymmetric never switches; use mode two_stage."),
    ("sampling", {"prompt_dropout": 1.1}, "sampling.prompt_dropout is 1.1, but a number from 0 to 1 is expected; 0.1 "
     "drops it in one of ten samples."),
    ("sampling", {"motion_dropout": -0.1}, "sampling.motion_dropout is -0.1, but a number from 0 to 1 is expected; 0.1 "
     "drops it in one of ten samples."),
    ("sampling", {"pose_dropout": "half"}, "sampling.pose_dropout is “half”, but a number from 0 to 1 is expected; 0.1 "
     "drops it in one of ten samples."),
    ("sampling", {"audio_dropout": math.nan}, "sampling.audio_dropout is nan, but a number from 0 to 1 is expected; "
     "0.1 drops it in one of ten samples."),
    ("sampling", {"timesteps": "cosine"}, "sampling.timesteps is “cosine”, but published, uniform, logit_normal are "
     "known; choose one of them."),
    ("sampling", {"shift": 0}, "sampling.shift is 0, but a number above 0 and up to 100 is expected; the published "
     "value is 5."),
    ("sampling", {"logit_mean": math.inf}, "sampling.logit_mean is inf, but a number from -10 to 10 is expected; 0 "
     "centres the levels."),
    ("sampling", {"logit_std": 0.0}, "sampling.logit_std is 0.0, but a number above 0 and up to 10 is expected; 1 is "
     "usual."),
    ("loss", {"router": -0.05}, "loss.router is -0.05, but a number from 0 on is expected; 0 leaves the term out."),
    ("loss", {"hoi": False}, "loss.hoi is False, but a number from 0 on is expected; 0 leaves the term out."),
    ("loss", {"face_weight": 10**31}, f"loss.face_weight is {10**31}, but a number from 0 to 1e+30 is expected; 0 "
     "leaves the term out."),
    ("optimizer", {"name": "adam"}, "optimizer.name is “adam”, but adamw, adamw8bit, prodigy, schedulefree are known; "
     "choose one of them."),
    ("optimizer", {"learning_rate": 0}, "optimizer.learning_rate is 0, but a number above 0 and up to 10 is "
     "expected; the published value is 1e-05."),
    ("optimizer", {"learning_rate": math.nan}, "optimizer.learning_rate is nan, but a number above 0 and up to 10 is "
     "expected; the published value is 1e-05."),
    ("optimizer", {"name": "prodigy"}, f"optimizer.learning_rate is 1e-05, but {PRODIGY}."),
    ("optimizer", {"weight_decay": -1}, "optimizer.weight_decay is -1, but a number from 0 on is expected; 0.01 is "
     "usual."),
    ("optimizer", {"schedule": "linear"}, "optimizer.schedule is “linear”, but constant, cosine are known; choose one "
     "of them."),
    ("optimizer", {"warmup": -1}, "optimizer.warmup is -1, but a whole number from 0 on is expected; 0 starts at the "
     "full rate."),
    ("optimizer", {"warmup": 1000}, "optimizer.warmup is 1000, but fewer than the run's 1000 steps are expected; use a "
     "tenth of the steps."),
    ("optimizer", {"clip_norm": -1}, "optimizer.clip_norm is -1, but a number from 0 on is expected; 1 is usual and 0 "
     "switches it off."),
    ("optimizer", {"accumulation": 0}, "optimizer.accumulation is 0, but a whole number from 1 on is expected; 1 steps "
     "after every batch."),
    ("optimizer", {"ema": 1.0}, "optimizer.ema is 1.0, but a number from 0 to 0.99999 is expected; 0.99 is usual and 0 "
     "switches it off."),
    ("optimizer", {"ema": -0.1}, "optimizer.ema is -0.1, but a number from 0 to 0.99999 is expected; 0.99 is usual and "
     "0 switches it off."),
    ("optimizer", {"name": "schedulefree", "ema": 0.9}, "optimizer.ema is 0.9, but schedulefree keeps an average of "
     "its own; use 0."),
    ("memory", {"mode": "16gb"}, "memory.mode is “16gb”, but none, 80gb, 48gb, 32gb, 24gb are known; choose one of "
     "them."),
    ("lora", {"rnak": 4}, "“rnak” is no setting in [lora], but one of rank, alpha, targets, experts was expected; did "
     "you mean rank?"),
    ("hoi", {"zzz": 4}, "“zzz” is no setting in [hoi], but one of mode, switch_step was expected; take it out."),
    ("optimiser", {"ema": 0}, "“optimiser” is no section, but one of model, data, run, lora, hoi, sampling, loss, "
     "optimizer, memory was expected; did you mean optimizer?"),
]  # fmt: skip


def settings(**sections):
    """The least settings, with sections changed."""
    return settings_from({**LEAST, **{name: {**LEAST.get(name, {}), **values} for name, values in sections.items()}})


def refusal(make, *arguments, **sections):
    with pytest.raises(InputError) as caught:
        make(*arguments, **sections)
    return str(caught.value)


@pytest.mark.parametrize(
    ("section", "values", "sentence"), BAD, ids=[f"{name}-{values}"[:60] for name, values, _ in BAD]
)
def test_a_bad_setting_is_named_in_one_sentence(section, values, sentence):
    assert refusal(settings, **{section: values}) == sentence


@pytest.mark.parametrize("mode", ["24gb", "32gb"])
def test_8_bit_states_are_for_the_card(mode):
    assert refusal(settings, optimizer={"name": "adamw8bit"}, memory={"mode": mode}) == (
        f"optimizer.name is “adamw8bit”, but with memory.mode {mode} the update is made by the CPU, where it saves "
        "nothing; use adamw, or memory.mode 48gb."
    )
    assert settings(optimizer={"name": "adamw8bit"}, memory={"mode": "48gb"}).optimizer.name == "adamw8bit"


def test_the_modes_that_update_on_the_cpu_are_those_of_small_cards():
    assert [name for name, recipe in RECIPES.items() if not recipe.trained_on_device] == ["32gb", "24gb"]


def test_a_kept_hoi_stream_needs_one():
    assert refusal(settings, hoi={"mode": "off"}, run={"keep_hoi": True}) == (
        "run.keep_hoi is true, but hoi.mode is off, so there is no HOI stream to keep; switch one of them."
    )


def test_a_model_trained_whole_has_no_lora_to_write_under_other_names():
    assert refusal(settings, model={**FILES, "train": "full"}, run={"official_names": True}) == (
        "run.official_names is true, but model.train full leaves a whole model, which has no LoRA to write under the "
        "authors' names; switch one of them."
    )


def test_a_model_trained_whole_without_experts_has_no_router_to_teach():
    whole = {**FILES, "train": "full"}
    assert refusal(settings, model=whole, lora={"experts": False}) == (
        "lora.experts is false, so no router is trained, but loss.router is 0.05; set it to 0, or train the experts."
    )
    assert settings(model=whole, lora={"experts": False}, loss={"router": 0}).model.whole


@pytest.mark.parametrize(("section", "key"), [("model", "text_encoder"), ("data", "table"), ("run", "name")])
def test_what_a_run_cannot_do_without_is_asked_for(section, key):
    values = {**LEAST, section: {name: value for name, value in LEAST[section].items() if name != key}}
    sentence = f"{section}.{key} is missing, but a run cannot do without it; add it to [{section}]."
    assert refusal(settings_from, values) == sentence


def test_a_section_that_is_none_is_refused():
    assert refusal(settings_from, {**LEAST, "lora": 128}) == (
        "lora is 128, but a section is expected; write [lora] on a line of its own."
    )


@pytest.mark.parametrize(
    "sections",
    [
        {"hoi": {"mode": "off"}},
        {"hoi": {"mode": "two_stage", "switch_step": 999}},
        {"data": {"width": 0, "height": 0}},
        {"lora": {"experts": False}, "loss": {"router": 0}},
        {"lora": {"experts": False}, "model": {"adapter": "moe.safetensors"}},
        {"optimizer": {"name": "prodigy", "learning_rate": 1}},
        {"optimizer": {"name": "schedulefree"}},
        {"optimizer": {"warmup": 999, "clip_norm": 0, "ema": 0.99999}},
        {"sampling": {"prompt_dropout": 0, "motion_dropout": 1}},
        {"run": {"name": "a"}},
        {"run": {"name": "_soap-v1.2", "keep_last": 0}},
    ],
)
def test_values_at_the_edge_are_taken(sections):
    made = plain_values(settings(**sections))
    assert {name: {key: made[name][key] for key in values} for name, values in sections.items()} == sections


def test_defaults_are_the_published_ones():
    values = plain_values(settings())
    sampling, loss, optimizer = values["sampling"], values["loss"], values["optimizer"]
    dropouts = ("prompt_dropout", "motion_dropout", "pose_dropout", "audio_dropout")
    assert [sampling[name] for name in dropouts] == [0.1, 0.4, 0.5, 0.1]
    assert (sampling["timesteps"], sampling["shift"]) == ("published", 5.0)
    assert loss == {"router": 0.05, "hoi": 0.5, "base_weight": 1.0, "hand_weight": 10.0, "face_weight": 10.0}
    assert values["lora"] == {"rank": 128, "alpha": 128.0, "targets": TARGETS.split(", "), "experts": True}
    assert (optimizer["name"], optimizer["learning_rate"], optimizer["accumulation"]) == ("adamw", 1e-5, 1)
    assert (optimizer["schedule"], optimizer["warmup"], optimizer["ema"]) == ("constant", 0, 0.0)
    assert values["hoi"] == {"mode": "asymmetric", "switch_step": 0}
    assert (values["data"]["latents"], settings().data.size) == (20, VideoSize(480, 832))


def test_without_a_size_rows_keep_theirs():
    assert DataSettings("rows.csv", width=0, height=0).size is None


def test_settings_stay_as_they_are():
    with pytest.raises(FrozenInstanceError):
        settings().lora.rank = 4
    with pytest.raises(InputError, match=r"^lora\.rank is 0"):
        replace(settings().lora, rank=0)
