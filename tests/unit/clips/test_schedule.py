"""The published schedule."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.clips.schedule import negative_floor, published_sigmas, timesteps
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.model.forward import experts_on
from cointeract_pack.cointeract_core.training.step.noise import add_noise, flow_target, loss_weights, training_sigmas


def test_sigmas_fall_from_1_to_0():
    sigmas = published_sigmas(40, 7.0)
    assert sigmas.shape == (41,)
    assert sigmas.dtype == torch.float32
    assert sigmas[0] == 1.0
    assert sigmas[-1] == 0.0
    assert (sigmas.diff() < 0).all()


def test_shift_1_is_even():
    torch.testing.assert_close(published_sigmas(4, 1.0), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_four_steps_at_shift_5_lie_where_distilled_loras_were_made():
    """LightX2V samples its four steps at 1000, 750, 500 and 250, shifted by 5."""
    torch.testing.assert_close(
        timesteps(published_sigmas(4, 5.0)), torch.tensor([1000.0, 937.5, 833.33333, 625.0, 0.0])
    )


def test_experts_work_in_22_of_the_40_default_steps():
    assert sum(experts_on(timestep) for timestep in timesteps(published_sigmas(40, 7.0)[:-1]).tolist()) == 22
    assert experts_on(899.99)
    assert not experts_on(900.0)


@pytest.mark.parametrize(("until", "guided"), [(0.0, 0), (0.01, 1), (0.25, 1), (0.3, 2), (0.5, 2), (0.75, 3)])
def test_the_negative_pass_ends_with_a_whole_step(until, guided):
    sigmas = published_sigmas(4, 7.0)
    assert negative_floor(sigmas, until) == sigmas[guided]


def test_parts_of_steps_are_not_rounded_up_by_accident():
    for steps in range(1, 101):
        sigmas = published_sigmas(steps, 7.0)
        for twentieths in range(20):
            guided = -(-twentieths * steps // 20)
            wanted = None if guided == steps else sigmas[guided]
            assert negative_floor(sigmas, twentieths * 0.05) == wanted


@pytest.mark.parametrize("until", [1.0, 0.8, 0.99])
def test_the_negative_pass_stays_where_it_is_in_every_step(until):
    assert negative_floor(published_sigmas(4, 7.0), until) is None


@pytest.mark.parametrize(("until", "named"), [(-0.1, "-0.1"), (1.5, "1.5"), (float("nan"), "nan")])
def test_parts_outside_the_steps(until, named):
    with pytest.raises(InputError) as caught:
        negative_floor(published_sigmas(4, 7.0), until)
    assert str(caught.value) == (
        f"negative_until is {named}, but a part of the steps from 0 to 1 is expected; 1 is the published way."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 7.0), "steps is 0, but at least 1 is expected; the published number is 40."),
        ((40, 0.0), "shift is 0, but a number above 0 is expected; the published value is 7."),
        ((40, float("nan")), "shift is nan, but a number above 0 is expected; the published value is 7."),
        ((40, 7.0, 0.0), "strength is 0, but more than 0 and at most 1 is expected; use 1 for a new video."),
        ((40, 7.0, 1.5), "strength is 1.5, but more than 0 and at most 1 is expected; use 1 for a new video."),
    ],
)
def test_impossible_schedules_are_refused(arguments, sentence):
    with pytest.raises(InputError) as refusal:
        published_sigmas(*arguments)
    assert str(refusal.value) == sentence


def test_training_weights_are_1_on_average_and_largest_in_the_middle():
    sigmas, weights = training_sigmas(5.0), loss_weights(5.0)
    assert weights.min() == 0.0
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-6)
    assert timesteps(sigmas)[weights.argmax()].item() == pytest.approx(500, abs=1)


def test_noise_and_target_lead_back_to_the_sample():
    sample, noise, sigma = torch.rand(2, 3), torch.randn(2, 3), torch.tensor(0.3)
    noised = add_noise(sample, noise, sigma)
    torch.testing.assert_close(noised - sigma * flow_target(sample, noise), sample)
