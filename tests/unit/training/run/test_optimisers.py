"""Optimisers, their rate, the running average, and that a run that is cut goes on bit for bit."""

from __future__ import annotations

import gc
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.training.run.ema import AdapterEma
from cointeract_pack.cointeract_core.training.run.optimisers import (
    averaged_weights,
    learning_rate_at,
    make_optimiser,
    optimiser_tensors,
    restore_optimiser,
    set_learning_rate,
)
from cointeract_pack.cointeract_core.training.settings.optimizer import OPTIMISERS, OptimizerSettings

PACKAGES = {"adamw": "torch", "adamw8bit": "bitsandbytes", "prodigy": "prodigyopt", "schedulefree": "schedulefree"}
STEPS, CUT = 12, 5
NEVER = 2  # this parameter gets no gradient before the cut, as experts may


def needs(name):
    """An optimiser's name, for tests that are skipped where its package is absent."""
    package = PACKAGES[name]
    absent = find_spec(package) is None
    return pytest.param(name, marks=pytest.mark.skipif(absent, reason=f"The package {package} is not installed."))


INSTALLED = [needs(name) for name in OPTIMISERS]


def rates(name):
    return OptimizerSettings(name=name, learning_rate=1.0 if name == "prodigy" else 1e-2, schedule="cosine", warmup=3)


class Training:
    """Three parameters on their way to a target, averaged as they go.

    The first is large enough for 8-bit states; odd steps leave the second without a gradient.
    """

    def __init__(self, settings, values=None):
        shapes = ((96, 64), (7,), (5, 3))
        generator = torch.Generator().manual_seed(1)
        drawn = [torch.randn(shape, generator=generator) for shape in shapes]
        self.target = [torch.randn(shape, generator=generator) for shape in shapes]
        self.parameters = [torch.nn.Parameter(value.clone()) for value in values or drawn]
        self.settings = settings
        self.optimiser = make_optimiser(settings, self.parameters)
        self.average = AdapterEma(0.9)
        self.average.update(self.named())

    def named(self):
        return {f"part.{number}": parameter for number, parameter in enumerate(self.parameters)}

    def train(self, start, stop):
        for step in range(start, stop):
            set_learning_rate(self.optimiser, learning_rate_at(self.settings, step, STEPS))
            self.optimiser.zero_grad(set_to_none=True)
            noise = torch.Generator().manual_seed(100 + step)
            used = [True, step % 2 == 0, step > CUT]
            parts = zip(self.parameters, self.target, used, strict=True)
            loss = sum(
                (p - goal - 0.1 * torch.randn(p.shape, generator=noise)).square().sum() for p, goal, on in parts if on
            )
            loss.backward()
            self.optimiser.step()
            self.average.update(self.named())
        return self

    def distance(self):
        return sum((p - goal).square().sum().item() for p, goal in zip(self.parameters, self.target, strict=True))


def saved(training, folder):
    """A run on disk: tensors as safetensors, the rest as JSON text."""
    tensors, facts = optimiser_tensors(training.optimiser)
    parts = {"optimiser": tensors, "trained": training.named(), "average": training.average.tensors()}
    for name, group in parts.items():
        save_file({key: value.detach() for key, value in group.items()}, folder / f"{name}.safetensors")
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def resumed(settings, folder):
    """A new run as another process would make it of what is on disk."""
    training = Training(settings, list(load_file(folder / "trained.safetensors").values()))
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    restore_optimiser(training.optimiser, load_file(folder / "optimiser.safetensors"), facts)
    training.average.restore(load_file(folder / "average.safetensors"))
    return training


def unequal(first, second):
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize("name", INSTALLED)
def test_a_run_that_was_cut_goes_on_bit_for_bit(name, tmp_path):
    settings = rates(name)
    straight = Training(settings).train(0, STEPS)
    whole = resumed(settings, saved(Training(settings).train(0, CUT), tmp_path)).train(CUT, STEPS)
    assert unequal(straight.named(), whole.named()) == []
    assert unequal(straight.average.tensors(), whole.average.tensors()) == []
    tensors, facts = optimiser_tensors(straight.optimiser)
    again, facts_again = optimiser_tensors(whole.optimiser)
    assert tensors.keys() == again.keys()
    assert unequal(tensors, again) == []
    assert json.dumps(facts, sort_keys=True) == json.dumps(facts_again, sort_keys=True)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_new_optimiser_alone_would_not_do(name, tmp_path):
    settings = rates(name)
    straight = Training(settings).train(0, STEPS)
    folder = saved(Training(settings).train(0, CUT), tmp_path)
    forgetful = Training(settings, list(load_file(folder / "trained.safetensors").values())).train(CUT, STEPS)
    assert unequal(straight.named(), forgetful.named())


@pytest.mark.parametrize("name", INSTALLED)
def test_every_optimiser_comes_nearer(name):
    training = Training(rates(name))
    before = training.distance()
    assert training.train(0, STEPS).distance() < before


@pytest.mark.parametrize("name", INSTALLED)
def test_a_state_before_the_first_step_is_restored(name, tmp_path):
    settings = rates(name)
    begun = resumed(settings, saved(Training(settings), tmp_path)).train(0, CUT)
    assert unequal(begun.named(), Training(settings).train(0, CUT).named()) == []


def test_a_parameter_without_gradient_has_no_state_and_is_left_alone():
    training = Training(rates("adamw"))
    before = training.parameters[NEVER].detach().clone()
    tensors, _ = optimiser_tensors(training.train(0, CUT).optimiser)
    assert {name.split(".")[1] for name in tensors} == {"0", "1"}
    assert torch.equal(training.parameters[NEVER], before)


def test_a_state_is_written_from_the_tensors_themselves():
    training = Training(rates("adamw")).train(0, 2)
    tensors, _ = optimiser_tensors(training.optimiser)
    held = {value.data_ptr() for state in training.optimiser.state.values() for value in state.values()}
    assert {value.data_ptr() for value in tensors.values()} == held


@pytest.mark.parametrize("name", INSTALLED)
def test_a_resumed_run_holds_no_file_of_its_state(name, tmp_path):
    """Windows removes no file that is mapped, and old states must go."""
    folder = saved(Training(rates(name)).train(0, CUT), tmp_path)
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    training = Training(rates(name))
    tensors = load_file(folder / "optimiser.safetensors")
    lent = {value.untyped_storage().data_ptr() for value in tensors.values()}
    restore_optimiser(training.optimiser, tensors, facts)
    groups = (*training.optimiser.state.values(), *training.optimiser.param_groups)
    held = [value for group in groups for value in group.values() if isinstance(value, torch.Tensor)]
    assert held
    assert not lent & {value.untyped_storage().data_ptr() for value in held}
    del tensors
    gc.collect()
    if sys.platform == "linux":
        assert str(folder) not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_a_state_with_a_part_missing_is_refused(tmp_path):
    training = Training(rates("adamw")).train(0, 2)
    tensors, facts = optimiser_tensors(training.optimiser)
    del tensors["state.0.exp_avg"]
    with pytest.raises(InputError) as caught:
        restore_optimiser(Training(rates("adamw")).optimiser, tensors, facts)
    assert str(caught.value) == (
        "The saved optimiser lacks state.0.exp_avg, but a whole one was expected; remove that state to resume from the "
        "one before it."
    )


@pytest.mark.parametrize("name", ["adamw8bit", "prodigy", "schedulefree"])
def test_an_absent_package_is_named(name, monkeypatch):
    package = PACKAGES[name]
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # what Python itself does for "not to be found"
    with pytest.raises(InputError) as caught:
        make_optimiser(rates(name), [torch.nn.Parameter(torch.zeros(1))])
    assert str(caught.value) == (
        f"optimizer.name is {name}, but its package {package} is not installed; pip install {package}, or use adamw."
    )


@pytest.mark.parametrize("name", INSTALLED)
def test_rate_and_decay_reach_the_optimiser(name):
    settings = OptimizerSettings(name=name, learning_rate=0.25, weight_decay=0.125)
    optimiser = make_optimiser(settings, [torch.nn.Parameter(torch.zeros(1))])
    assert [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups] == [(0.25, 0.125)]
    set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5]


@pytest.mark.parametrize("name", INSTALLED)
def test_looking_at_the_weights_to_use_changes_no_run(name):
    settings = rates(name)
    looked = Training(settings)
    for step in range(STEPS):
        looked.train(step, step + 1)
        with averaged_weights(looked.optimiser):
            pass
    assert unequal(looked.named(), Training(settings).train(0, STEPS).named()) == []


@pytest.mark.parametrize("name", [needs("schedulefree")])
def test_schedule_free_weights_to_use_lie_beside_those_it_trains(name):
    training = Training(OptimizerSettings(name=name, learning_rate=0.1)).train(0, CUT)
    first, beta = training.parameters[0], training.optimiser.param_groups[0]["betas"][0]
    trained = first.detach().clone()
    with averaged_weights(training.optimiser):
        used = first.detach().clone()
    ahead = training.optimiser.state[first]["z"]
    assert not torch.equal(used, trained)
    torch.testing.assert_close(trained, beta * used + (1 - beta) * ahead)


@pytest.mark.parametrize("name", [needs("schedulefree")])
def test_trained_weights_come_back_after_an_error_too(name):
    training = Training(rates(name)).train(0, CUT)
    trained = training.parameters[0].detach().clone()

    def look():
        with averaged_weights(training.optimiser):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look()
    assert torch.equal(training.parameters[0], trained)
    assert training.optimiser.param_groups[0]["train_mode"]


def test_the_rate_rises_then_stays_or_falls_as_half_a_cosine():
    constant = OptimizerSettings(learning_rate=1.0, warmup=4)
    assert [learning_rate_at(constant, step, 100) for step in (0, 1, 3, 4, 50, 99)] == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]
    cosine = OptimizerSettings(learning_rate=1.0, warmup=4, schedule="cosine")
    falling = [learning_rate_at(cosine, step, 104) for step in range(4, 105)]
    assert falling[0] == 1.0
    assert falling[50] == pytest.approx(0.5)
    assert falling[25] == pytest.approx(0.5 + 0.5**1.5)
    assert falling[100] == pytest.approx(0.0)
    assert falling == sorted(falling, reverse=True)
    assert learning_rate_at(cosine, 3, 104) == 1.0
    assert learning_rate_at(OptimizerSettings(), 0, 1) == 1e-5


def test_an_average_that_is_not_there_is_refused():
    with pytest.raises(InputError) as caught:
        AdapterEma(0.9).restore({})
    assert str(caught.value) == (
        "The saved state holds no running average, but this run keeps one; remove that state to resume from the one "
        "before it."
    )
