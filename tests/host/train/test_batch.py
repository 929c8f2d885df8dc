"""Samples that go through the model together: the gradients of one by one, whatever forms a batch mixes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cointeract_pack.cointeract_core.training.run.state import load_state, states
from cointeract_pack.cointeract_core.training.run.trainer import STATES
from cointeract_pack.cointeract_core.training.run.validation import validation_loss
from cointeract_pack.cointeract_core.training.step.batch import groups_of, joined, places_by_form
from cointeract_pack.cointeract_core.training.step.step import (
    draw,
    losses_of,
    sample_generator,
    step_inputs,
)
from cointeract_pack.cointeract_core.training.step.timesteps import Dropped
from cointeract_pack.tests.host.train.test_trainer import curve, make_trainer

KEEP = Dropped(prompt=False, motion=False, pose=False, audio=False)
LEVELS = (0.95, 0.5, 0.3, 0.7, 0.2, 0.92)  # the experts are off at the first and the last
SHARES = {"rtol": 1e-5, "atol": 1e-6}


def same(tensor):
    return tensor


def drawn_at(sample, number, **dropped):
    made = draw(sample, _sampling(), sample_generator(0, number), hoi=True)
    level = torch.tensor(LEVELS[number % len(LEVELS)])
    weight = torch.tensor(0.5 + number / 4)
    return replace(made, dropped=replace(KEEP, **dropped), sigma=level, weight=weight)


def _sampling():
    from cointeract_pack.cointeract_core.training.settings.sections import SamplingSettings

    return SamplingSettings()


def mixed_batch(case):
    """Every difference samples of one batch may have: each with what it drops."""
    half = case.sample(8)
    return [
        (case.sample(0), {}),
        (case.sample(1), {"prompt": True}),
        (case.sample(2), {"audio": True}),
        (case.sample(3), {"pose": True}),
        (case.sample(4), {"motion": True}),
        (case.sample(5, product=None), {}),
        (case.sample(6, token_masks=None), {}),
        (case.sample(7, hoi=None), {}),
        (replace(half, product_scale=0.5), {}),
        (case.sample(9, joint=None, pose=None), {"motion": True}),
    ]


def inputs_of(case):
    batch = enumerate(mixed_batch(case))
    made = []
    for number, (sample, dropped) in batch:
        drawn = drawn_at(sample, number, **dropped)
        hoi_noise = None if sample.hoi is None else drawn.hoi_noise
        made.append(step_inputs(sample, replace(drawn, hoi_noise=hoi_noise), "asymmetric", same))
    return made


def gradients(case, train, inputs):
    """Gradients of the mean loss over all inputs, one forward for each entry, and each sample's values."""
    settings = case.settings(model={"train": train})
    model, lora = case.model(settings)
    seen = []
    with lora.attached(model.dit):
        count = sum(len(given.weights) for given in inputs)
        for given in inputs:
            losses = losses_of(model.dit, given, settings.loss)
            (torch.stack([one.total for one in losses]).sum() / count).backward()
            seen += [one.values() for one in losses]
    return {name: tensor.grad for name, tensor in model.trainable().items()}, seen


def test_forms_are_told_apart_by_what_a_forward_must_share(training_case):
    """Dropped prompt, sound and pose, and rows without boxes, go with the others; the rest each by itself."""
    assert places_by_form(inputs_of(training_case)) == [[0, 1, 2, 3, 6], [4, 9], [5], [7], [8]]


@pytest.mark.parametrize("train", ["lora", "full"])
def test_a_batch_of_mixed_forms_has_the_gradients_of_its_samples(train, training_case):
    inputs = inputs_of(training_case)
    groups = groups_of(inputs)
    assert len(groups) == 5
    expected, values = gradients(training_case, train, inputs)
    found, joint = gradients(training_case, train, groups)
    order = [place for places in places_by_form(inputs) for place in places]
    for place, other in zip(order, joint, strict=True):
        assert values[place].keys() == other.keys()
        for name, value in values[place].items():
            assert (value is None) == (other[name] is None), name
            if value is not None:
                assert other[name] == pytest.approx(value, rel=1e-5), name
    largest = max(float(gradient.abs().max()) for gradient in expected.values() if gradient is not None)
    assert largest > 0
    for name, gradient in expected.items():
        assert (gradient is None) == (found[name] is None), name
        if gradient is not None:
            difference, length = (found[name] - gradient).norm(), gradient.norm()
            assert difference <= 2e-6 * length + 1e-9 * largest, (name, float(difference / length))


def test_levels_and_noise_stay_each_sample_s_own(training_case):
    inputs = inputs_of(training_case)
    whole = joined([inputs[place] for place in (0, 1, 2, 3, 6)])
    assert whole.timestep.tolist() == pytest.approx([950, 500, 300, 700, 950])
    assert torch.equal(whole.noisy[1:2], inputs[1].noisy)
    assert torch.equal(whole.clip.context[1:2], inputs[1].clip.context)
    assert not whole.clip.audio[2].any()
    assert not whole.clip.pose[3].any()
    assert torch.equal(whole.clip.pose[:1], inputs[0].clip.pose)
    assert [masks is None for masks in whole.masks] == [False, False, False, False, True]


def test_a_dropped_pose_is_what_the_model_does_without_one(training_case):
    """To the last bit: the encoder's answer to zeros is its bias, wherever it is asked."""
    given = inputs_of(training_case)[3]
    model, _ = training_case.model(training_case.settings(model={"train": "full"}))
    zeros = replace(given, clip=replace(given.clip, pose=torch.zeros_like(given.noisy)))
    loss = training_case.settings().loss
    assert given.clip.pose is None
    with torch.no_grad():
        assert losses_of(model.dit, given, loss)[0].values() == losses_of(model.dit, zeros, loss)[0].values()


def test_a_batch_of_one_is_the_sample_itself(training_case):
    given = inputs_of(training_case)[0]
    assert joined([given]) is given


def run(case, folder, train="lora", steps=1, **optimizer):
    settings = case.settings(
        model={"train": train},
        run={"name": "tiny", "steps": steps, "seed": 3, "validate_every": 1},
        optimizer={"learning_rate": 1e-3, "clip_norm": 0.0, **optimizer},
    )
    trainer = make_trainer(case, folder, settings, rows=4, held_out=1)
    trainer.run()
    return curve(folder), load_state(states(folder / STATES)[-1]).tensors["optimiser"]


@pytest.mark.parametrize("train", ["lora", "full"])
def test_a_batch_is_an_accumulation_in_one_forward(train, training_case, tmp_path):
    alone, expected = run(training_case, tmp_path / "alone", train, accumulation=6)
    for name, how in (("six", {"batch_size": 6}), ("three", {"batch_size": 3, "accumulation": 2})):
        batch, found = run(training_case, tmp_path / name, train, **how)
        for curve_name, value in alone[0].items():
            assert float(batch[0][curve_name]) == pytest.approx(float(value), rel=1e-5), curve_name
        moments = [key for key in expected if key.endswith("exp_avg")]  # the gradients' mean of the first step
        assert len(moments) > 100
        assert found.keys() == expected.keys()
        for key in moments:
            assert (found[key] - expected[key]).norm() <= 1e-5 * expected[key].norm() + 1e-10, key


def test_more_than_one_row_and_level_is_measured_at_a_time(training_case):
    settings = training_case.settings()
    model, lora = training_case.model(settings)
    rows = [lambda seed=seed: training_case.sample(seed) for seed in range(2)]
    rows.append(lambda: training_case.sample(2, product=None))
    calls = []
    predict = model.dit.predict

    def counted(latents, *arguments, **named):
        calls.append(len(latents))
        return predict(latents, *arguments, **named)

    model.dit.predict = counted
    with lora.attached(model.dit):
        one = validation_loss(model.dit, rows, settings.loss, same)
        several = validation_loss(model.dit, rows, settings.loss, same, batch_size=5)
    assert calls == [1] * 12 + [5, 3, 2, 2]
    assert several == pytest.approx(one, rel=1e-6)
