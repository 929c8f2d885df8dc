"""Every parameter trained: which get gradients, that a run goes on bit for bit, in every memory mode."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.checkpoint.keys import EXPERTS, HOI
from cointeract_pack.cointeract_core.host.forms import LayerWeights
from cointeract_pack.cointeract_core.training.run.state import load_state, states
from cointeract_pack.cointeract_core.training.run.trainer import STATES
from cointeract_pack.cointeract_core.training.settings.memory_modes import RECIPES
from cointeract_pack.cointeract_core.training.step.memory import Memory, memory_mode
from cointeract_pack.cointeract_core.training.step.step import draw, sample_generator, step_losses
from cointeract_pack.tests.host.train.test_trainer import (
    CutError,
    curve,
    cutting_hooks,
    make_trainer,
    run_settings,
)

CPU = torch.device("cpu")
FULL = {"model": {"train": "full"}}
PLAIN = {**FULL, "lora": {"experts": False}, "loss": {"router": 0.0}}


def gradients(case, mode, visibility, settings):
    model, lora = case.model(settings, hoi=visibility != "off")
    sample = case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=visibility != "off")
    with lora.attached(model.dit), memory_mode(model, mode, CPU, LayerWeights) as memory:
        how = {"visibility": visibility, "to_model": lambda tensor: tensor, "recompute": memory.recompute}
        losses = step_losses(model.dit, sample, drawn, settings.loss, **how)
        losses.total.backward()
    return losses.values(), {name: tensor.grad for name, tensor in model.trainable().items()}


@pytest.fixture(scope="module", params=["asymmetric", "mutual", "off"])
def plain(request, training_case):
    return request.param, gradients(training_case, "none", request.param, training_case.settings(**FULL))


def test_every_parameter_of_the_backbone_has_a_gradient(plain, training_case):
    visibility, (_, found) = plain
    model, lora = training_case.model(training_case.settings(**FULL))
    assert list(lora.named_tensors()) == []
    hoi = {name for name in found if name.startswith(HOI)}
    backbone = {name for name, _ in model.dit.named_parameters() if not name.startswith(HOI)}
    assert found.keys() - hoi == backbone
    assert bool(hoi) == (visibility != "off")
    without = [name for name, gradient in found.items() if gradient is None or not gradient.any()]
    # an injector behind the last block, and the first block's bias of keys, which softmax does not see
    assert [name for name in without if ".k.bias" not in name and "audio_injector" not in name] == []


@pytest.mark.parametrize("mode", [mode for mode in RECIPES if mode != "none"])
def test_gradients_are_those_of_the_plain_mode(mode, plain, training_case):
    visibility, (values, expected) = plain
    again, found = gradients(training_case, mode, visibility, training_case.settings(**FULL))
    assert again == values
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] is None) == (gradient is None), name
        assert gradient is None or torch.equal(found[name], gradient), name


def test_gradients_are_those_of_the_authors_trainer_too(training_case):
    """LoRA's experts and HOI stream get the same gradients whether the backbone beside them is trained or not."""
    settings = training_case.settings(**FULL)
    _, whole = gradients(training_case, "none", "asymmetric", settings)
    model, _ = training_case.model(settings)
    sample = training_case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    model.dit.requires_grad_(False)
    for part in (model.dit.experts, model.dit.hoi):
        part.requires_grad_(True)
    how = {"visibility": "asymmetric", "to_model": lambda tensor: tensor}
    step_losses(model.dit, sample, drawn, settings.loss, **how).total.backward()
    extras = {name: tensor.grad for name, tensor in model.dit.named_parameters() if tensor.requires_grad}
    assert len(extras) > 50
    assert [name for name in extras if extras[name] is not None and not torch.equal(extras[name], whole[name])] == []


@pytest.mark.parametrize(("mode", "place"), [("48gb", "meta"), ("32gb", "cpu"), ("24gb", "cpu")])
def test_what_is_trained_lies_where_the_mode_says(mode, place, training_case):
    """With 32gb and 24gb everything is trained on the CPU's side, so no block streams from page-locked memory."""
    model, _ = training_case.model(training_case.settings(**FULL))
    memory = Memory(RECIPES[mode], torch.device("meta"), model, LayerWeights)
    memory.place()
    assert {parameter.device.type for parameter in model.trainable().values()} == {place}
    assert memory._pinned.allocated == 0


def full_settings(case, steps=6, **more):
    optimizer = {"accumulation": 1, "batch_size": 2}
    return run_settings(case, steps, **{**FULL, **more, "optimizer": {**optimizer, **more.get("optimizer", {})}})


@pytest.fixture(scope="module")
def undisturbed(training_case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = make_trainer(training_case, folder, full_settings(training_case), held_out=1).run()
    return curve(folder), result, folder


@pytest.mark.parametrize("saves", [True, False], ids=["interrupted", "killed"])
@pytest.mark.parametrize("at", [2, 4])
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(at, saves, training_case, undisturbed, tmp_path):
    expected, model, _ = undisturbed
    settings = full_settings(training_case)
    with pytest.raises(CutError):
        make_trainer(training_case, tmp_path, settings, cutting_hooks(at, saves=saves), held_out=1).run()
    again = make_trainer(training_case, tmp_path, settings, held_out=1).run()
    assert curve(tmp_path) == expected
    assert again.keys() == model.keys()
    assert [name for name in model if not torch.equal(again[name], model[name])] == []


def test_a_state_holds_every_parameter_and_the_result_is_the_average(training_case, undisturbed):
    rows, result, folder = undisturbed
    saved = load_state(states(folder / STATES)[-1])
    model, _ = training_case.model(training_case.settings(**FULL))
    whole = {name for name, _ in model.dit.named_parameters()}
    assert saved.tensors["trained"].keys() == saved.tensors["average"].keys() == whole == result.keys()
    assert all(torch.equal(result[name], saved.tensors["average"][name]) for name in whole)
    before = dict(model.dit.named_parameters())
    moved = [name for name in whole if not torch.equal(before[name], saved.tensors["trained"][name])]
    assert {"patch_embedding.weight", "head.head.weight", "blocks.0.ffn.0.weight", "blocks.1.modulation"} <= {*moved}
    assert any(name.startswith(EXPERTS) for name in moved)
    assert any(name.startswith(HOI) for name in moved)
    assert [bool(row["validation"]) for row in rows] == [False, False, True, False, False, True]


def test_without_experts_router_and_experts_stay_as_they_are(training_case, tmp_path):
    settings = full_settings(training_case, 3, **PLAIN)
    trainer = make_trainer(training_case, tmp_path, settings)
    before = {name: tensor.clone() for name, tensor in trainer.model.dit.state_dict().items()}
    result = trainer.run()
    assert result.keys() == before.keys()
    assert not any(name.startswith(EXPERTS) for name in trainer.model.trainable())
    same = {name for name in before if torch.equal(before[name], result[name])}
    assert {name for name in before if name.startswith(EXPERTS)} <= same
    assert "blocks.1.ffn.2.weight" not in same


def test_the_loss_falls(training_case, tmp_path):
    nothing = dict.fromkeys(("prompt_dropout", "motion_dropout", "pose_dropout", "audio_dropout"), 0.0)
    settings = training_case.settings(
        **FULL,
        run={"name": "tiny", "steps": 60, "validate_every": 1, "save_every": 0},
        optimizer={"learning_rate": 3e-3, "batch_size": 4},
        sampling=nothing,
    )
    trainer = make_trainer(training_case, tmp_path, settings, rows=1)
    trainer.held_out = trainer.samples
    trainer.run()
    losses = [float(row["validation"]) for row in curve(tmp_path)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("train", "fused"), [("full", True), ("lora", None)])
def test_the_step_of_a_whole_model_is_one_kernel(train, fused, training_case, tmp_path):
    """Of LoRA it stays as it was, for runs that were begun before go on bit for bit."""
    settings = training_case.settings(model={"train": train}, run={"name": "tiny", "steps": 1})
    trainer = make_trainer(training_case, tmp_path, settings)
    trainer.run()
    assert trainer._optimiser.param_groups[0]["fused"] is fused
    again = make_trainer(training_case, tmp_path, settings)
    again.run()
    assert again._optimiser.param_groups[0]["fused"] is fused


def test_kept_rows_are_never_written_to(training_case, tmp_path):
    """One copy serves all steps and the validation."""
    settings = full_settings(training_case, 3)
    trainer = make_trainer(training_case, tmp_path, settings, held_out=1)
    kept = [training_case.sample(seed) for seed in range(4)]
    before = [training_case.sample(seed) for seed in range(4)]
    trainer.samples, trainer.held_out = ([lambda one=one: one for one in part] for part in (kept[:3], kept[3:]))
    trainer.run()
    for one, other in zip(kept, before, strict=True):
        for name in ("joint", "alone", "person", "product", "hoi", "pose", "audio"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert torch.equal(one.prompts.main, other.prompts.main)
