"""Noise levels and dropped conditions: how often each comes, and that the generator alone decides."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from cointeract_pack.cointeract_core.training.settings.sections import TIMESTEP_RULES, SamplingSettings
from cointeract_pack.cointeract_core.training.step.noise import loss_weights, training_sigmas
from cointeract_pack.cointeract_core.training.step.timesteps import Dropped, draw_timestep, drop

DRAWS = 3000
EVERYTHING = {"prompt_dropout": 1.0, "motion_dropout": 1.0, "pose_dropout": 1.0, "audio_dropout": 1.0}
SHARES = {"prompt": 0.1, "motion": 0.4, "pose": 0.5, "audio": 0.1}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def levels(settings, seed=0, count=DRAWS):
    """Noise levels and weights, `[count]` each."""
    source = generator(seed)
    drawn = [draw_timestep(settings, source) for _ in range(count)]
    return torch.stack([sigma for sigma, _ in drawn]), torch.stack([weight for _, weight in drawn])


def plain(sigmas, shift):
    """Levels before they were shifted."""
    return sigmas / (shift - (shift - 1) * sigmas)


def far(share, count=DRAWS):
    """Four standard deviations of a share."""
    return 4 * math.sqrt(share * (1 - share) / count)


def test_published_levels_are_the_thousand_each_as_often():
    settings = SamplingSettings()
    sigmas, weights = levels(settings)
    table = training_sigmas(5.0)
    ids = torch.searchsorted(table.flip(0), sigmas)
    assert torch.equal(table.flip(0)[ids], sigmas)  # none between them
    assert torch.equal(loss_weights(5.0).flip(0)[ids], weights)
    assert ids.float().mean().item() == pytest.approx(499.5, abs=4 * 1000 / math.sqrt(12 * DRAWS))
    assert len(ids.unique()) > 900


def test_experts_rest_in_36_percent_of_the_published_steps():
    assert (1000 * training_sigmas(5.0) >= 900).float().mean().item() == pytest.approx(0.358)
    sigmas, _ = levels(SamplingSettings())
    assert (1000 * sigmas >= 900).float().mean().item() == pytest.approx(0.358, abs=far(0.358))


def test_uniform_levels_are_not_shifted():
    sigmas, _ = levels(SamplingSettings(timesteps="uniform"))
    for low, high in pairwise((0.0, 0.25, 0.5, 0.75, 1.0)):
        share = ((sigmas >= low) & (sigmas < high)).float().mean().item()
        assert share == pytest.approx(0.25, abs=far(0.25))
    assert torch.equal(sigmas, levels(SamplingSettings(timesteps="uniform", shift=2.0))[0])


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-1.0, 0.5)])
def test_logit_normal_levels_are_a_shifted_sigmoid_of_normal_numbers(mean, std):
    sigmas, _ = levels(SamplingSettings(timesteps="logit_normal", shift=5.0, logit_mean=mean, logit_std=std))
    numbers = torch.logit(plain(sigmas.double(), 5.0))
    assert numbers.mean().item() == pytest.approx(mean, abs=4 * std / math.sqrt(DRAWS))
    assert numbers.std().item() == pytest.approx(std, abs=4 * std / math.sqrt(2 * DRAWS))
    within = ((numbers - mean).abs() < std).double().mean().item()
    assert within == pytest.approx(0.6827, abs=far(0.6827))


@pytest.mark.parametrize("rule", TIMESTEP_RULES)
def test_level_and_weight_are_float32_scalars_of_the_nearest_level(rule):
    sigmas, weights = levels(SamplingSettings(timesteps=rule), count=50)
    assert (sigmas.shape, sigmas.dtype, weights.dtype) == ((50,), torch.float32, torch.float32)
    nearest = (training_sigmas(5.0)[None] - sigmas[:, None]).abs().argmin(dim=1)
    assert torch.equal(weights, loss_weights(5.0)[nearest])
    assert bool(((sigmas >= 0) & (sigmas <= 1)).all())


def test_weights_follow_the_shift():
    sigma, weight = draw_timestep(SamplingSettings(shift=1.0), generator(3))
    other, heavier = draw_timestep(SamplingSettings(shift=5.0), generator(3))
    assert plain(other, 5.0).item() == pytest.approx(sigma.item(), abs=1e-6)
    assert weight != heavier


@pytest.mark.parametrize("rule", TIMESTEP_RULES)
def test_the_generator_alone_decides_on_levels(rule):
    settings = SamplingSettings(timesteps=rule)
    torch.manual_seed(1)
    first = levels(settings, seed=7, count=20)[0]
    torch.manual_seed(2)
    assert torch.equal(first, levels(settings, seed=7, count=20)[0])
    assert not torch.equal(first, levels(settings, seed=8, count=20)[0])


def test_weights_may_stand_in_a_graph_after_inference_mode():
    with torch.inference_mode():
        draw_timestep(SamplingSettings(), generator())
    _, weight = draw_timestep(SamplingSettings(), generator())
    part = torch.ones(2, requires_grad=True)
    (weight * part.square().sum()).backward()
    assert torch.equal(part.grad, torch.full((2,), 2 * weight.item()))


def test_conditions_are_dropped_as_often_as_published():
    source = generator()
    drawn = [drop(SamplingSettings(), source, has_pose=True, has_motion=True) for _ in range(DRAWS)]
    for name, share in SHARES.items():
        found = sum(getattr(dropped, name) for dropped in drawn) / DRAWS
        assert found == pytest.approx(share, abs=far(share)), name
    both = sum(dropped.prompt and dropped.motion for dropped in drawn) / DRAWS
    assert both == pytest.approx(0.04, abs=far(0.04))  # one does not follow from the other


def test_drawn_in_the_published_order_and_a_pose_only_where_there_is_one():
    settings = SamplingSettings(prompt_dropout=0.5, motion_dropout=0.5, pose_dropout=0.5, audio_dropout=0.5)
    for seed in range(40):
        numbers = (torch.rand(4, generator=generator(seed)) < 0.5).tolist()
        singly = [torch.rand((), generator=source).item() < 0.5 for source in [generator(seed)] for _ in range(4)]
        with_pose = drop(settings, generator(seed), has_pose=True, has_motion=True)
        without = drop(settings, generator(seed), has_pose=False, has_motion=True)
        assert numbers == singly
        assert with_pose == Dropped(*singly)
        assert without == Dropped(singly[0], singly[1], False, singly[2])


def test_motion_that_is_not_there_is_dropped_whatever_is_drawn():
    never = SamplingSettings(**dict.fromkeys(EVERYTHING, 0.0))
    assert drop(never, generator(), has_pose=True, has_motion=False) == Dropped(False, True, False, False)
    absent, present = generator(5), generator(5)
    drop(SamplingSettings(), absent, has_pose=True, has_motion=False)
    drop(SamplingSettings(), present, has_pose=True, has_motion=True)
    assert torch.equal(torch.rand(3, generator=absent), torch.rand(3, generator=present))  # what follows stays


def test_nothing_and_everything_can_be_dropped():
    never = SamplingSettings(**dict.fromkeys(EVERYTHING, 0.0))
    always = SamplingSettings(**EVERYTHING)
    for seed in range(100):
        assert drop(never, generator(seed), has_pose=True, has_motion=True) == Dropped(False, False, False, False)
        assert drop(always, generator(seed), has_pose=True, has_motion=True) == Dropped(True, True, True, True)
