"""What the passes of a run share: computed once, not a bit different, let go where it is in the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import comfy.hooks
import pytest
import torch
from comfy.patcher_extension import WrappersMP

from cointeract_pack.cointeract_core.clips.parts import ProductReference
from cointeract_pack.cointeract_core.host.model import clip_cache
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import SETTINGS, apart, sample, small_patcher, without_cache


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def patcher(request):
    return small_patcher(request.param)


@pytest.fixture
def conditions(small_scene):
    motion = torch.randn(1, 16, 19, 8, 8, generator=torch.Generator().manual_seed(5))
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], motion)


def plain(patcher, conditions, settings=SETTINGS):
    return sample(patcher, conditions, settings, without_cache)


class Seen:
    """Rows and calls of the first block's queries and of the timestep's projection while sampling."""

    def __init__(self, patcher):
        dit = patcher.model.diffusion_model
        self.counts = Counter()
        self.hooks = [
            dit.blocks[0].self_attn.q.register_forward_pre_hook(self._see("first block")),
            dit.blocks[1].self_attn.q.register_forward_pre_hook(self._see("second block")),
            dit.time_projection[1].register_forward_pre_hook(self._see("time")),
        ]

    def _see(self, name):
        return lambda _module, args: self.counts.update({name: args[0].shape[0]})

    def __enter__(self):
        return self.counts

    def __exit__(self, *_error):
        for hook in self.hooks:
            hook.remove()


def test_not_a_bit_changes(patcher, passes, conditions):
    assert torch.equal(sample(patcher, conditions), plain(patcher, conditions))


def test_the_first_attention_and_the_timestep_are_computed_once_a_step(patcher, passes, conditions):
    with Seen(patcher) as counts:
        sample(patcher, conditions)
    # apart, the run learns in its first step that there are two passes; in one batch both rows are computed: a product
    # of other rows may round otherwise
    alone = SETTINGS.steps + 1
    assert counts["first block"] == (alone if passes == "two batches" else 2 * SETTINGS.steps)
    assert counts["second block"] == 2 * SETTINGS.steps
    # constants of a clip have a projection of timestep 0
    assert counts["time"] == SETTINGS.steps + (2 if passes == "two batches" else 1)


def test_samplers_that_ask_twice_a_step(patcher, passes, conditions):
    settings = replace(SETTINGS, sampler="heun", steps=3)
    assert torch.equal(sample(patcher, conditions, settings), plain(patcher, conditions, settings))


def test_passes_with_other_pictures_share_nothing(patcher, passes, small_scene, conditions):
    other = replace(small_scene, product=ProductReference(small_scene.product.latent * 2, 1.0))
    motion = conditions.positive[0][1]["reference_motion"]
    negative = clip_conditions(other, other.speech.plan.clips[0], motion).negative
    mixed = replace(conditions, negative=negative)
    with Seen(patcher) as counts:
        out = sample(patcher, mixed)
    assert counts["first block"] == counts["second block"]
    assert torch.equal(out, plain(patcher, mixed))


def test_a_negative_without_product_shares_nothing(patcher, small_scene, conditions):
    bare = replace(small_scene, product=None)
    motion = conditions.positive[0][1]["reference_motion"]
    mixed = replace(conditions, negative=clip_conditions(bare, bare.speech.plan.clips[0], motion).negative)
    assert torch.equal(sample(patcher, mixed), plain(patcher, mixed))


def test_one_pass_keeps_nothing_large(patcher, conditions):
    kept = []

    def watch(model):
        def look(executor, *args, **kwargs):
            out = executor(*args, **kwargs)
            kept.append(args[5][clip_cache.OPTION].here().step._attended)
            return out

        model.add_wrapper_with_key(clip_cache.WrappersMP.DIFFUSION_MODEL, "watch", look)

    settings = replace(SETTINGS, cfg=1.0)
    assert torch.equal(sample(patcher, conditions, settings, watch), plain(patcher, conditions, settings))
    assert kept == [None] * SETTINGS.steps


def test_a_replaced_first_block_is_asked_in_every_pass(patcher, passes, conditions):
    asked = []

    def replace_first(model):
        def own(args, extra):
            asked.append(len(args["img"]))
            return extra["original_block"](args)

        model.set_model_patch_replace(own, "dit", "double_block", 0)

    assert torch.equal(sample(patcher, conditions, change=replace_first), plain(patcher, conditions))
    assert sum(asked) == 2 * SETTINGS.steps


def test_changed_inputs_meet_no_old_values(patcher, passes, small_scene, conditions):
    """Another LoRA strength, prompt, clip and size on one model in turn, and the first again."""
    first = sample(patcher, conditions)
    name = "diffusion_model.blocks.0.self_attn.q.weight"
    delta = torch.ones_like(patcher.model.diffusion_model.blocks[0].self_attn.q.weight) * 0.05
    for strength in (0.5, 1.0):
        stronger = patcher.clone()
        stronger.add_patches({name: ("diff", (delta,))}, strength)
        out = sample(stronger, conditions)
        assert torch.equal(out, plain(stronger, conditions))
        assert not torch.equal(out, first)
    motion = conditions.positive[0][1]["reference_motion"]
    prompts = replace(small_scene.prompts, positive=([[small_scene.prompts.positive[0][0][0] * 2, {}]],))
    others = [
        clip_conditions(replace(small_scene, prompts=prompts), small_scene.speech.plan.clips[0], motion),
        clip_conditions(small_scene, small_scene.speech.plan.clips[1], motion),
        clip_conditions(small_scene, small_scene.speech.plan.clips[0], None),
    ]
    for other in others:
        out = sample(patcher, other)
        assert torch.equal(out, plain(patcher, other))
        assert not torch.equal(out, first)
    assert torch.equal(sample(patcher, conditions), first)


def test_two_sizes_in_one_run_do_not_meet(patcher, conditions):
    """A wrapper that changes the target's size from step to step, as high-resolution fixes do."""
    dit = patcher.model.diffusion_model
    constants = clip_cache.RunCache()
    options = {clip_cache.OPTION: constants, "uuids": ["one"]}
    values = conditions.positive[0][1]
    text = conditions.positive[0][0].to(dit.dtype)
    outs = []
    for size in (8, 12, 8):
        picture = torch.ones(1, 16, 1, size, size, dtype=dit.dtype)
        latents = torch.ones(1, 16, 20, size, size, dtype=dit.dtype)
        with torch.inference_mode():
            outs.append(
                dit.forward_orig(
                    latents,
                    torch.tensor([500.0]),
                    text,
                    audio_embed=values["audio_embed"].to(dit.dtype),
                    reference_latent=picture,
                    transformer_options=options,
                )
            )
    assert outs[1].shape[-1] == 12
    assert torch.equal(outs[0], outs[2])


def test_freeing_in_the_middle_of_a_run_changes_no_bit(patcher, passes, conditions):
    freed = []

    def free_often(model):
        def free(executor, *args, **kwargs):
            out = executor(*args, **kwargs)
            freed.append(args[5][clip_cache.OPTION].free())
            return out

        model.add_wrapper_with_key(clip_cache.WrappersMP.DIFFUSION_MODEL, "free", free)

    assert torch.equal(sample(patcher, conditions, change=free_often), plain(patcher, conditions))
    assert all(amount > 0 for amount in freed)


def test_a_lora_of_one_conditioning_alone_gets_no_cache(patcher, conditions):
    """The host's hook nodes change the weights between the passes, so nothing may be shared."""
    name = "diffusion_model.blocks.0.self_attn.q.weight"
    weight = patcher.model.diffusion_model.blocks[0].self_attn.q.weight
    hook = comfy.hooks.WeightHook(strength_model=1.0)
    hook.weights = {name: ("diff", (torch.ones_like(weight) * 0.05,))}
    group = comfy.hooks.HookGroup()
    group.add(hook)
    hooked = replace(conditions, positive=[[conditions.positive[0][0], {**conditions.positive[0][1], "hooks": group}]])
    seen = []

    def watch(model):
        def look(executor, *args, **kwargs):
            seen.append(clip_cache.OPTION in args[5])
            return executor(*args, **kwargs)

        model.add_wrapper_with_key(clip_cache.WrappersMP.DIFFUSION_MODEL, "watch", look)

    sample(patcher, hooked, change=watch)
    assert seen
    assert not any(seen)


def test_nothing_is_kept_for_a_pass_that_does_not_come(patcher, conditions, monkeypatch):
    """Behind the step where the negative pass ends, the first attention of the other is kept for nobody."""
    apart(patcher, monkeypatch)
    kept = []

    def prepare(model):
        def watch(executor, *args, **kwargs):
            out = executor(*args, **kwargs)
            step = args[5][clip_cache.OPTION].here().step
            kept.append((step.several, step._attended is not None))
            return out

        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "watch", watch)

    settings = replace(SETTINGS, steps=4, negative_until=0.5)
    out = clip_runs.sample(patcher, conditions, settings, prepare)
    assert torch.isfinite(out).all()
    assert [several for several, _ in kept] == [False, True, True, True, False, False]
    assert not any(there for _, there in kept[-2:])
