"""torch.compile: a block is one graph, few graphs serve all blocks, and the host's own compile node works."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
import torch._dynamo
from comfy_api.torch_helpers import set_torch_compile_wrapper

from cointeract_pack.cointeract_core.host.model import dit as dit_module
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.cointeract_core.verify.recordings.golden import FLOAT_TOLERANCE, read_golden
from cointeract_pack.cointeract_core.verify.recordings.runs import read_run
from cointeract_pack.cointeract_core.verify.recordings.tiny import build_dit
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import GOLDEN, GPU_KERNELS, apart, sample, small_patcher

SETTINGS = replace(clip_runs.SETTINGS, steps=3)
GRAPHS_PER_PYTORCH = 8  # beyond so many versions of one function PyTorch gives up compiling it


@pytest.fixture(autouse=True)
def attention_of_gpus(monkeypatch):
    monkeypatch.setattr(dit_module, "KERNELS", GPU_KERNELS)


@pytest.fixture(autouse=True)
def forget_graphs():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def graphs():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def predict(dit, run, timestep):
    with torch.inference_mode():
        return dit.predict(run.latents, torch.tensor([timestep]), run.clip).video


def test_a_block_is_one_graph_for_all_blocks():
    """Experts on and off, in the first block, the last, and between: six versions, each whole (`fullgraph`)."""
    dit, run = build_dit(read_golden(GOLDEN)), read_run(read_golden(GOLDEN), "")
    moments = (500.0, 950.0, 300.0)
    plain = [predict(dit, run, moment) for moment in moments]
    for index, block in enumerate(dit.blocks):
        dit.blocks[index] = torch.compile(block, fullgraph=True, backend="eager")
    compiled = [predict(dit, run, moment) for moment in moments]
    assert all(torch.equal(one, other) for one, other in zip(plain, compiled, strict=True))
    assert len(dit.blocks) > 4
    assert graphs() == 6


@pytest.mark.skipif(shutil.which("c++") is None, reason="PyTorch's compiler for the CPU needs c++, which is not here.")
def test_the_real_compiler_agrees():
    dit, run = build_dit(read_golden(GOLDEN)), read_run(read_golden(GOLDEN), "")
    plain = predict(dit, run, 500.0)
    dit.blocks[1] = torch.compile(dit.blocks[1], fullgraph=True, backend="inductor")
    torch.testing.assert_close(predict(dit, run, 500.0), plain, rtol=0, atol=FLOAT_TOLERANCE)
    assert graphs() == 1


@pytest.mark.parametrize("keys", ["whole model", "blocks"])
def test_nodes_that_compile(keys, small_scene, monkeypatch):
    """The host's node compiles the whole transformer, others one block after the other; both meet our caches here."""
    patcher = small_patcher()
    # one pass after the other, so that the first block's attention is reused
    apart(patcher, monkeypatch)
    conditions = clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)

    def compile_it(model):
        blocks = range(len(patcher.model.diffusion_model.blocks))
        names = ["diffusion_model"] if keys == "whole model" else [f"diffusion_model.blocks.{n}" for n in blocks]
        set_torch_compile_wrapper(model=model, backend="eager", keys=names, fullgraph=keys == "blocks")

    compiled = sample(patcher, conditions, SETTINGS, compile_it)
    assert torch.equal(compiled, sample(patcher, conditions, SETTINGS))
    assert graphs() >= 4
    assert keys == "whole model" or graphs() <= GRAPHS_PER_PYTORCH


@pytest.mark.parametrize("batched", [False, True], ids=["two batches", "one batch"])
def test_two_clips_find_whole_graphs_for_every_block(batched, small_scene, monkeypatch):
    """The second clip has motion frames, so another length; PyTorch gives no version up, and none is in pieces."""
    patcher = small_patcher()
    if not batched:
        apart(patcher, monkeypatch)
    motion = torch.randn(1, 16, 19, 8, 8, generator=torch.Generator().manual_seed(9))
    first, second = small_scene.speech.plan.clips
    clips = [clip_conditions(small_scene, first, None), clip_conditions(small_scene, second, motion)]
    plain = [sample(patcher, conditions, SETTINGS) for conditions in clips]
    blocks = [f"diffusion_model.blocks.{n}" for n in range(len(patcher.model.diffusion_model.blocks))]

    def compile_it(model):
        set_torch_compile_wrapper(
            model=model, backend="eager", keys=blocks, fullgraph=True
        )  # refuses breaks and too many

    compiled = [sample(patcher, conditions, SETTINGS, compile_it) for conditions in clips]
    for one, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=FLOAT_TOLERANCE)
    assert not torch._dynamo.utils.counters["graph_break"]
