"""What saves whole passes: leaving the negative out of late steps, and step-distilled LoRAs by the host's own node."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import pytest
import torch
from comfy.patcher_extension import WrappersMP
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.constants import TIMESTEPS
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.cointeract_core.host.video.sampling import make_sigmas
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import SETTINGS, small_patcher


@pytest.fixture(scope="module")
def patcher():
    return small_patcher()


@pytest.fixture
def conditions(small_scene):
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)


@pytest.fixture
def sample(patcher, conditions):
    """Latents, and how many rows the model was asked for at each noise level."""

    def run(prepare=lambda model: None, **changes):
        rows = Counter()

        def count(executor, x, timestep, *args, **kwargs):
            rows[round(float(timestep[0]), 2)] += len(x)
            return executor(x, timestep, *args, **kwargs)

        def prepare_and_count(model):
            prepare(model)
            model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)

        return clip_runs.sample(patcher, conditions, replace(SETTINGS, **changes), prepare_and_count), rows

    return run


@pytest.mark.parametrize(("part", "guided"), [(1.0, 4), (0.75, 3), (0.5, 2), (0.3, 2), (0.25, 1), (0.0, 0)])
def test_late_steps_run_one_pass(part, guided, sample):
    _, rows = sample(negative_until=part)
    asked = [rows[level] for level in sorted(rows, reverse=True)]
    assert asked == [2] * guided + [1] * (4 - guided)


def test_both_ends_are_what_they_were(sample):
    whole, _ = sample(negative_until=1.0)
    assert torch.equal(whole, sample()[0])
    alone, _ = sample(negative_until=0.0)
    assert torch.equal(alone, sample(cfg=1.0)[0])
    half, _ = sample(negative_until=0.5)
    assert not torch.equal(half, whole)
    assert not torch.equal(half, alone)


def test_a_sampler_that_asks_twice_a_step(sample):
    """Its second look in a step is at the next step's noise, which decides."""
    _, rows = sample(sampler="heun", negative_until=0.5)
    levels = sorted(rows, reverse=True)
    assert all(rows[level] % 2 == 0 for level in levels[:2])
    assert [rows[level] for level in levels[2:]] == [2, 2]  # asked twice each, one row a time


@pytest.mark.parametrize("sampler", ["dpm_fast", "dpm_2", "uni_pc", "res_multistep", "dpmpp_2m"])
def test_samplers_that_reach_noise_levels_in_their_own_way(sampler, sample):
    """Both passes above the third step's level, one at it and below."""
    floor = float(make_sigmas(None, SETTINGS)[2])
    _, rows = sample(sampler=sampler, negative_until=0.5)
    assert min(rows) < floor * TIMESTEPS < max(rows)
    for level, calls in rows.items():
        assert calls == (2 if level > floor * TIMESTEPS + 0.01 else 1), level


def test_nodes_that_ask_for_both_passes_get_them(sample):
    """Some guidance nodes look at the negative pass even at guidance 1."""
    _, rows = sample(
        negative_until=0.5,
        prepare=lambda model: model.set_model_sampler_pre_cfg_function(
            lambda args: args["conds_out"], disable_cfg1_optimization=True
        ),
    )
    assert set(rows.values()) == {2}


def test_cfg_1_needs_no_negative_anyway(sample):
    _, rows = sample(cfg=1.0, negative_until=0.5)
    assert set(rows.values()) == {1}


def test_a_step_distilled_lora_by_the_hosts_node(tiny, model_folder, caplog):
    """In the names and form such files have; every layer finds its place over base, adapter and experts."""
    from nodes import LoraLoaderModelOnly

    def put(kind, name, state):
        save_file(state, model_folder(kind) / name)
        return name

    base = put("diffusion_models", "base.safetensors", tiny.base())
    adapter = put("model_patches", "checkpoint.safetensors", tiny.adapter())
    layers = [name for name in tiny.LORA_MODULES if name.startswith("blocks.")]
    state = {}
    for name in layers:
        own = name.replace("ffn.ffn_base", "ffn")
        out = tiny.FFN if name.endswith("ffn_base.0") else tiny.DIM
        into = tiny.FFN if name.endswith("ffn_base.2") else tiny.DIM
        state[f"diffusion_model.{own}.lora_down.weight"] = torch.ones(4, into, dtype=torch.bfloat16)
        state[f"diffusion_model.{own}.lora_up.weight"] = torch.ones(out, 4, dtype=torch.bfloat16)
        state[f"diffusion_model.{own}.alpha"] = torch.tensor(4.0)
    fast = put("loras", "fast.safetensors", state)
    model = load_cointeract(base, adapter).patcher
    with caplog.at_level(logging.WARNING):
        faster = LoraLoaderModelOnly().load_lora_model_only(model, fast, 1.0)[0]
    assert "not loaded" not in caplog.text
    patched = {key for key, patches in faster.patches.items() if len(patches) > len(model.patches.get(key, []))}
    assert len(patched) == len(layers)
    assert type(faster) is type(model)  # it still parks
