"""Nodes of ComfyUI that skip steps or choose the attention: they work with our model and our caches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode

from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import small_patcher, without_cache

SETTINGS = replace(clip_runs.SETTINGS, steps=5)
BOLD = {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}
TIMID = {**BOLD, "reuse_threshold": 0.0}
SKIPPING = {"EasyCache": EasyCacheNode, "LazyCache": LazyCacheNode}


@pytest.fixture(scope="module")
def patcher():
    return small_patcher()


@pytest.fixture
def conditions(small_scene):
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)


def sample(patcher, conditions, prepare=lambda model: None):
    """Latents, and for how many rows the transformer ran."""
    rows = Counter()
    layer = patcher.model.diffusion_model.head.head
    hook = layer.register_forward_pre_hook(lambda _layer, args: rows.update(ran=len(args[0])))
    try:
        latents = clip_runs.sample(patcher, conditions, SETTINGS, prepare)
    finally:
        hook.remove()
    return latents, rows["ran"]


@pytest.mark.parametrize("node", SKIPPING)
def test_nodes_that_skip_steps(node, patcher, passes, conditions):
    skipping = SKIPPING[node].execute(patcher, **BOLD)[0]
    latents, ran = sample(skipping, conditions)
    assert 0 < ran < 2 * SETTINGS.steps
    assert ran % 2 == 0  # both passes of a step or neither
    assert torch.isfinite(latents).all()
    assert not torch.equal(latents, sample(patcher, conditions)[0])
    assert torch.equal(latents, sample(skipping, conditions, without_cache)[0])
    assert torch.equal(latents, sample(skipping, conditions)[0])  # nothing is left of the first run


@pytest.mark.parametrize("node", SKIPPING)
def test_where_they_skip_nothing_nothing_changes(node, patcher, passes, conditions):
    latents, ran = sample(SKIPPING[node].execute(patcher, **TIMID)[0], conditions)
    assert ran == 2 * SETTINGS.steps
    assert torch.equal(latents, sample(patcher, conditions)[0])


def test_every_attention_is_the_one_a_node_chose(patcher, conditions):
    """Nodes for Sage attention and the like put a function into the options, which the host hands every attention."""
    asked = Counter()

    def override(original, *args, **kwargs):
        asked[args[0].shape[-2], args[1].shape[-2]] += 1
        return original(*args, **kwargs)

    chosen = patcher.clone()
    chosen.model_options["transformer_options"]["optimized_attention_override"] = override
    latents, _ = sample(chosen, conditions)
    assert torch.equal(latents, sample(patcher, conditions)[0])
    dit = patcher.model.diffusion_model
    blocks, injections = len(dit.blocks), len(dit.audio_injector.injector)
    assert sum(asked.values()) == SETTINGS.steps * (2 * blocks + injections)
