"""Our model under the host's guider: what is computed once, what is skipped, and that neither changes a bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import comfy.samplers
import pytest
import torch
from comfy.model_management import InterruptProcessingException, interrupt_current_processing, processing_interrupted

from cointeract_pack.cointeract_core.clips.parts import ProductReference
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.cointeract_core.host.video.sampling import PUBLISHED_SCHEDULE, clip_noise, sample_clip
from cointeract_pack.tests.host.clip_runs import SETTINGS, sample, small_patcher


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def patcher():
    return small_patcher()


@pytest.fixture
def scene(small_scene):
    return small_scene


@pytest.fixture
def conditions(scene):
    return clip_conditions(scene, scene.speech.plan.clips[0], random(1, 16, 19, 8, 8, seed=5))


def counted(module, counts, name):
    return module.register_forward_hook(lambda *_: counts.update([name]))


def test_text_and_audio_are_projected_once_a_clip(patcher, conditions):
    dit = patcher.model.diffusion_model
    counts = Counter()
    hooks = [counted(dit.blocks[1].cross_attn.k, counts, "text"), counted(dit.casual_audio_encoder, counts, "audio")]
    hooks.append(counted(dit.audio_injector.injector[0].v, counts, "audio V"))
    sample(patcher, conditions)
    for hook in hooks:
        hook.remove()
    # four steps; the positive and the negative come in one batch here, or one after the other
    assert 1 <= counts["text"] <= 2
    assert counts["audio"] == counts["audio V"] == counts["text"]


def test_a_new_run_knows_nothing_of_the_last_one(patcher, scene):
    clip = scene.speech.plan.clips[0]
    first = sample(patcher, clip_conditions(scene, clip, None))
    other = replace(scene, product=ProductReference(scene.product.latent * 2, 1.0))
    changed = sample(patcher, clip_conditions(other, clip, None))
    assert not torch.equal(first, changed)
    assert torch.equal(first, sample(patcher, clip_conditions(scene, clip, None)))


def test_cfg_1_runs_one_pass(patcher, conditions):
    counts = Counter()

    def count(_module, inputs):
        counts["rows"] += inputs[0].shape[0]

    hook = patcher.model.diffusion_model.patch_embedding.register_forward_pre_hook(count)
    sample(patcher, conditions)
    guided, counts["rows"] = counts["rows"], 0
    sample(patcher, conditions, replace(SETTINGS, cfg=1.0))
    hook.remove()
    assert counts["rows"] < guided


def test_experts_are_not_called_at_high_noise(patcher, conditions):
    counts = Counter()
    dit = patcher.model.diffusion_model
    hook = counted(dit.experts[0].router[0], counts, "router")
    sigmas = torch.tensor([1.0, 0.95, 0.9])  # timesteps 1000 and 950
    sample_clip(patcher, conditions, SETTINGS, sigmas, 0)
    hook.remove()
    assert counts["router"] == 0


def test_interrupt_ends_a_step_at_the_next_block(patcher, conditions):
    counts = Counter()
    blocks = patcher.model.diffusion_model.blocks
    hooks = [counted(block.ffn[0], counts, index) for index, block in enumerate(blocks)]
    hooks.append(blocks[1].ffn[2].register_forward_hook(lambda *_: interrupt_current_processing()))
    with pytest.raises(InterruptProcessingException):
        sample(patcher, conditions)
    for hook in hooks:
        hook.remove()
    assert counts == {0: 1, 1: 1}
    assert not processing_interrupted()


def test_the_hosts_memory_estimate_counts_every_token(patcher, scene):
    clip = scene.speech.plan.clips[0]
    model = patcher.model

    def estimate(scene, motion):
        conditions = clip_conditions(scene, clip, motion)
        values = conditions.positive[0][1]
        shapes = {name: [shape] for name, shape in model.extra_conds_shapes(**values).items()}
        return model.memory_required(list(conditions.latent.shape), cond_shapes=shapes)

    motion = random(1, 16, 19, 8, 8)
    bare = replace(scene, product=None)
    person, with_motion, whole = estimate(bare, None), estimate(bare, motion), estimate(scene, motion)
    assert person < with_motion < whole


def test_noise_is_the_published_draw_without_the_persons_slot():
    latent = torch.zeros(1, 16, 20, 8, 8)
    whole = torch.randn(1, 16, 21, 8, 8, generator=torch.Generator("cpu").manual_seed(5))
    assert torch.equal(clip_noise(latent, 5), whole[:, :, 1:])


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc", "euler_ancestral", "lcm", "res_multistep"])
@pytest.mark.parametrize("scheduler", ["published", "simple", "beta"])
def test_host_samplers_and_schedules(sampler, scheduler, patcher, conditions):
    out = sample(patcher, conditions, replace(SETTINGS, steps=3, sampler=sampler, scheduler=scheduler))
    assert out.shape == (1, 16, 20, 8, 8)
    assert torch.isfinite(out).all()


def test_every_scheduler_of_the_host_is_offered():
    from cointeract_pack.cointeract_core.host.video.sampling import scheduler_names

    assert scheduler_names() == [PUBLISHED_SCHEDULE, *comfy.samplers.SCHEDULER_NAMES]
