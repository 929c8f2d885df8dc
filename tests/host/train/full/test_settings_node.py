"""What Training Settings makes of full training and batches, also for prompts saved before it had them."""

from __future__ import annotations

from cointeract_pack.cointeract_core.training.settings.optimizer import LARGEST_BATCH
from cointeract_pack.cointeract_core.training.settings.sections import DataSettings
from cointeract_pack.cointeract_core.training.settings.toml import with_sections
from cointeract_pack.nodes.training import TrainingSettings

FILES = {"base": "s2v.safetensors", "vae": "v", "text_encoder": "t", "audio_encoder": "a", "adapter": "none"}


def values(**more):
    """What a queued node is called with: every widget's default, but for the two that came later."""
    inputs = TrainingSettings.define_schema().inputs
    return {one.id: one.default for one in inputs if one.id not in ("train", "batch_size")} | more


def settings(**more):
    (sections,) = TrainingSettings.execute(**values(**more)).args
    return with_sections(sections, {"model": FILES, "run": {"name": "soap"}}, DataSettings("rows.csv"))


def test_a_prompt_saved_before_still_trains_lora_sample_by_sample():
    assert settings() == settings(train="lora", batch_size=1)
    assert (settings().model.train, settings().optimizer.samples) == ("lora", 1)


def test_the_model_s_files_and_what_is_trained_come_together():
    made = settings(train="full", batch_size=12, accumulation=2)
    assert made.model.whole
    assert made.model.base == FILES["base"]
    assert made.optimizer.samples == 24


def test_the_two_stand_last_and_may_be_absent():
    """The page keeps the values of a saved workflow by their places."""
    last = TrainingSettings.define_schema().inputs[-2:]
    assert [(one.id, one.optional) for one in last] == [("train", True), ("batch_size", True)]
    assert (last[0].options, last[1].max) == (["lora", "full"], LARGEST_BATCH)
