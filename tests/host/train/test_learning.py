"""What a training step must be whatever ComfyUI was started with: gradients everywhere, levels exact, no bad number."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace

import comfy.ldm.modules.attention
import pytest
import torch

from cointeract_pack.cointeract_core import files
from cointeract_pack.cointeract_core.clips.schedule import timesteps
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.forms import attention_with_gradient
from cointeract_pack.cointeract_core.host.model import dit as dit_module
from cointeract_pack.cointeract_core.training.run.state import load_state, states
from cointeract_pack.cointeract_core.training.run.trainer import BAD_GRADIENTS, STATES, Hooks
from cointeract_pack.cointeract_core.training.run.validation import validation_loss
from cointeract_pack.cointeract_core.training.step.noise import training_sigmas
from cointeract_pack.cointeract_core.training.step.step import draw, sample_generator, step_inputs, step_losses
from cointeract_pack.tests.host.train.test_trainer import curve, make_trainer, run_settings

HOW = {"visibility": "asymmetric", "to_model": lambda tensor: tensor}


class NoWayBack:
    """A kernel as Sage's: it fills a tensor that autograd knows nothing of."""

    def __init__(self, monkeypatch):
        self.calls = 0
        monkeypatch.setattr(comfy.ldm.modules.attention, "optimized_attention", self)
        monkeypatch.setattr(dit_module, "KERNELS", replace(dit_module.KERNELS, attention=self))

    def __call__(self, q, k, v, heads, **_more):
        self.calls += 1
        with torch.no_grad():
            return attention_with_gradient(q, k, v, heads)


@pytest.fixture
def no_way_back(monkeypatch):
    return NoWayBack(monkeypatch)


@pytest.mark.parametrize("visibility", ["asymmetric", "mutual"])
def test_every_lora_learns_whatever_attention_was_chosen(visibility, no_way_back, training_case):
    settings = training_case.settings()
    model, lora = training_case.model(settings)
    sample = training_case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    with lora.attached(model.dit):
        how = {**HOW, "visibility": visibility}
        step_losses(model.dit, sample, drawn, settings.loss, **how).total.backward()
    gradients = {name: tensor.grad for name, tensor in lora.named_tensors()}
    assert len(gradients) > 100
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert no_way_back.calls == 0


def test_validation_measures_with_what_is_trained_with(no_way_back, training_case):
    model, lora = training_case.model()
    with lora.attached(model.dit):
        validation_loss(model.dit, [training_case.sample], training_case.settings().loss, HOW["to_model"])
    assert no_way_back.calls == 0


def test_a_video_is_made_with_the_attention_that_was_chosen(no_way_back, training_case):
    model, lora = training_case.model()
    sample = training_case.sample()
    with torch.no_grad(), lora.attached(model.dit):
        model.dit.forward_orig(sample.alone, torch.tensor([500.0]), sample.prompts.main, audio_embed=sample.audio)
    assert no_way_back.calls > 0


@pytest.mark.parametrize("own", [True, False], ids=["ComfyUI's", "PyTorch's"])
def test_attention_is_that_of_the_formula(own, monkeypatch):
    if not own:
        monkeypatch.delattr(comfy.ldm.modules.attention, "attention_pytorch")
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, n, 6, generator=generator, requires_grad=True) for n in (5, 7, 7))
    found = attention_with_gradient(q, k, v, 2, transformer_options={"any": 1}, preferred_attention="sage")
    parts = [tensor.unflatten(-1, (2, 3)).transpose(1, 2) for tensor in (q, k, v)]
    weights = (parts[0] @ parts[1].transpose(-1, -2) / 3**0.5).softmax(-1)
    torch.testing.assert_close(found, (weights @ parts[2]).transpose(1, 2).flatten(2))
    found.sum().backward()
    assert all(tensor.grad is not None for tensor in (q, k, v))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_model_reads_the_noise_level_that_was_drawn(precision, training_case):
    """All published levels: in bfloat16 899 is 900, where the experts are off."""
    sample, settings = training_case.sample(), training_case.settings()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    for sigma in training_sigmas(settings.sampling.shift):
        given = step_inputs(sample, replace(drawn, sigma=sigma), "asymmetric", lambda part: part.to(precision))
        assert given.noisy.dtype == precision
        assert given.timestep.dtype == torch.float32
        assert given.timestep.item() == given.hoi.timestep.item() == timesteps(sigma).item()


def spoil(trainer, bad):
    """Make one gradient no number in the steps `bad`, counted from 0."""
    first = next(iter(trainer.model.trainable().values()))
    first.register_hook(lambda gradient: gradient * (float("nan") if trainer.step in bad else 1.0))


def held(trainer):
    return {name: tensor.detach().clone() for name, tensor in trainer.model.trainable().items()}


def test_a_gradient_that_is_no_number_changes_nothing(training_case, tmp_path, caplog):
    settings = run_settings(training_case, 4, run={"save_every": 1, "keep_last": 0})
    trainer = make_trainer(training_case, tmp_path, settings)
    spoil(trainer, {1, 2})
    with caplog.at_level(logging.WARNING, "cointeract"):
        adapter = trainer.run()
    assert all(torch.isfinite(tensor).all() for tensor in adapter.values())
    kept = [load_state(path).tensors for path in states(tmp_path / STATES)]
    for group in ("trained", "average", "optimiser"):
        first, second, third, fourth = (state[group] for state in kept)
        assert [name for name in first if not torch.equal(first[name], second[name])] == []
        assert [name for name in first if not torch.equal(first[name], third[name])] == []
        assert any(not torch.equal(third[name], fourth[name]) for name in third)
    assert [bool(row["gradient_norm"]) for row in curve(tmp_path)] == [True, False, False, True]
    assert [record.getMessage() for record in caplog.records] == [
        "The gradient of step 2 is nan: such steps change nothing",
        "2 steps were left out: their gradient was no number",
    ]


def test_gradients_that_stay_no_number_stop_the_run(training_case, tmp_path):
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 40, run={"save_every": 0}))
    before = held(trainer)
    spoil(trainer, range(100))
    with pytest.raises(InputError, match=rf"^The gradient of step {BAD_GRADIENTS} and of the 9 before it is nan, but"):
        trainer.run()
    assert all(torch.equal(before[name], tensor) for name, tensor in held(trainer).items())
    assert states(tmp_path / STATES) == []


def test_a_gradient_that_is_no_number_now_and_then_stops_nothing(training_case, tmp_path):
    constant = {"optimizer": {"schedule": "constant", "warmup": 0, "ema": 0.0, "accumulation": 1}}
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 14, **constant), Hooks(HOW["to_model"]))
    spoil(trainer, {*range(14)} - {6})
    trainer.run()
    assert trainer.step == 14


def trained_bytes(trainer):
    return sum(tensor.nbytes for tensor in trainer.model.trainable().values())


def full_disk(monkeypatch, free):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _path: SimpleNamespace(free=free()))


def test_a_run_whose_states_find_no_room_is_refused_before_it_begins(training_case, tmp_path, monkeypatch):
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 6))  # 3 states, 2 of them kept
    needed = 3 * 4 * trained_bytes(trainer)  # parameters, two moments, the average
    full_disk(monkeypatch, lambda: needed - 1)
    with pytest.raises(
        InputError, match=r"^3 states of this run, which are to come, take 0\.\d GB, but only 0\.\d GB are"
    ):
        trainer.run()
    assert trainer.step == 0
    full_disk(monkeypatch, lambda: needed)
    make_trainer(training_case, tmp_path, run_settings(training_case, 6)).run()


def test_a_disk_that_fills_up_ends_the_run_in_one_sentence_and_keeps_the_last_state(
    training_case, tmp_path, monkeypatch
):
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 6))
    full_disk(monkeypatch, lambda: 1e12 if trainer.step < 4 else 0)
    with pytest.raises(
        InputError, match=r"^The state of step 4 takes 0\.\d GB, but only 0\.0 GB are free where states lies;"
    ):
        trainer.run()
    assert [path.name for path in states(tmp_path / STATES)] == ["state_00000002"]


def test_no_room_for_the_last_state_costs_no_adapter(training_case, tmp_path, monkeypatch, caplog):
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 3, run={"save_every": 0}))
    full_disk(monkeypatch, lambda: 1e12 if trainer.step < 3 else 0)
    with caplog.at_level(logging.WARNING, "cointeract"):
        assert trainer.run()
    assert caplog.records[-1].getMessage().startswith("The state of step 3 takes")
