"""On the oldest host, what newer ones do inside the model and while loading it; see also `test_newer_hosts`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import comfy.model_management
import comfy.sd
import pytest
import torch

from cointeract_pack.cointeract_core.errors import CheckpointKeysError, ModelFileError
from cointeract_pack.cointeract_core.host.files import load_model
from cointeract_pack.cointeract_core.host.files.folders import ModelFile
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract, plan_load
from cointeract_pack.cointeract_core.host.forms import is_out_of_memory
from cointeract_pack.cointeract_core.host.model import dit as dit_module
from cointeract_pack.cointeract_core.host.train.model import load_training_model
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import apart, sample, small_patcher
from cointeract_pack.tests.host.stand_ins import WishfulAttention

pytestmark = pytest.mark.usefixtures("registered")
SETTINGS = replace(clip_runs.SETTINGS, steps=2)


@pytest.fixture
def patcher():
    return small_patcher()


@pytest.fixture
def conditions(small_scene):
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)


class TestAttentionOfAFile:
    """Files that say which attention a layer prefers (0.38)."""

    WISH = '{"attention": "comfy_kitchen_int8"}'

    @pytest.fixture
    def files(self, tiny, put):
        mark = torch.tensor(list(self.WISH.encode()), dtype=torch.uint8)
        names = ("blocks.0.self_attn", "blocks.1.cross_attn", "audio_injector.injector.0")
        state = tiny.base() | {f"{name}.comfy_attention.config": mark.clone() for name in names}
        return put("diffusion_models", "b.safetensors", state), put("model_patches", "a.safetensors", tiny.adapter())

    def test_are_read(self, files):
        assert load_cointeract(*files).report == "136 LoRA tensors, 28 expert tensors, 0 unknown"

    def test_of_a_layer_the_model_does_not_have_are_not(self, tiny, put):
        state = tiny.base() | {"blocks.9.self_attn.comfy_attention.config": torch.zeros(2, dtype=torch.uint8)}
        with pytest.raises(CheckpointKeysError, match="holds 1 tensors the model does not have"):
            load_cointeract(put("diffusion_models", "b.safetensors", state), "none")

    def test_reach_the_attention_of_that_layer(self, files, monkeypatch):
        attention = WishfulAttention(monkeypatch)
        dit = load_cointeract(*files).patcher.model.diffusion_model
        monkeypatch.setattr(dit_module, "KERNELS", replace(dit_module.KERNELS, attention=attention))
        latents = torch.zeros(1, 16, 2, 8, 8, dtype=dit.dtype)
        text, audio = torch.zeros(1, 4, 4096, dtype=dit.dtype), torch.zeros(1, 25, 1024, 8, dtype=dit.dtype)
        with torch.inference_mode():
            dit.forward_orig(latents, torch.tensor([500.0]), text, audio_embed=audio)
        # self-attention, prompt and speech of the first block, which is one that hears; both of the second
        assert attention.given == [self.WISH, None, self.WISH, None, self.WISH]


class TestPatchesOfOtherPacks:
    """What newer ComfyUI's own transformer calls in every block (0.25 and 0.33)."""

    @pytest.fixture
    def patched(self, patcher, conditions):
        def run(patches):
            def prepare(model):
                options = model.model_options["transformer_options"] = {"patches": patches}
                assert options["patches"] is patches

            return clip_runs.sample(patcher, conditions, SETTINGS, prepare)

        return run

    def test_are_called_in_every_block_with_what_they_know(self, patcher, conditions, patched):
        seen = {"attn1_patch": [], "attn2_patch": [], "double_block": []}

        def note(name, key):
            def patch(args):
                index = args["transformer_options"]["block_index"]
                seen[name].append((index, {key: value.shape for key, value in args.items() if torch.is_tensor(value)}))
                return {"img": args["img"]} if name == "double_block" else args[key]

            return patch

        out = patched({name: [note(name, "img" if name == "double_block" else "x")] for name in seen})
        torch.testing.assert_close(out, sample(patcher, conditions, SETTINGS), rtol=1e-4, atol=1e-4)
        blocks = len(patcher.model.diffusion_model.blocks)
        for name, calls in seen.items():
            assert [index for index, _ in calls] == list(range(blocks)) * (len(calls) // blocks), name
        dim, heads = patcher.model.diffusion_model.dim, patcher.model.diffusion_model.num_heads
        shapes = seen["attn1_patch"][0][1]
        assert shapes["q"] == shapes["k"] == (*shapes["x"][:2], heads, dim // heads)
        assert all(call[1]["x"] == shapes["x"] for call in seen["attn1_patch"])  # all tokens, in the last block too
        assert seen["double_block"][0][1]["x"][1:3] == (16, 20)

    @pytest.mark.parametrize("name", ["attn1_patch", "attn2_patch", "double_block"])
    def test_change_the_clip(self, name, patcher, conditions, patched):
        def halve(args):
            return {"img": args["img"] * 0.5} if name == "double_block" else args["x"] * 0.5

        assert not torch.allclose(patched({name: [halve]}), sample(patcher, conditions, SETTINGS), atol=1e-2)

    def test_a_patch_of_the_attention_may_differ_from_pass_to_pass(self, patcher, conditions, patched, monkeypatch):
        """The first block's attention is then not shared between the passes."""
        apart(patcher, monkeypatch)
        calls = []

        def one_pass_only(args):
            if args["transformer_options"]["block_index"] == 0:
                calls.append(args["transformer_options"]["cond_or_uncond"])
            return args["x"]

        patched({"attn1_patch": [one_pass_only]})
        assert sorted(map(tuple, calls)) == [(0,)] * SETTINGS.steps + [(1,)] * SETTINGS.steps


def test_memory_that_ran_out_by_another_name(patcher, monkeypatch):
    """Newer PyTorch raises another class; newer ComfyUI offers a function that knows both."""

    class AcceleratorError(RuntimeError):
        pass

    assert not is_out_of_memory(AcceleratorError("out of memory"))
    monkeypatch.setattr(
        comfy.model_management, "is_oom", lambda error: isinstance(error, AcceleratorError), raising=False
    )
    assert is_out_of_memory(AcceleratorError("out of memory"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_training_loads_its_weights_once(tiny, put, monkeypatch):
    """A patcher that pages weights puts new ones in the place of those that are trained."""
    make, asked = comfy.sd.load_diffusion_model_state_dict, []

    def load(state, model_options=None, metadata=None, disable_dynamic=False):
        asked.append(disable_dynamic)
        return make(state, model_options=model_options)

    monkeypatch.setattr(comfy.sd, "load_diffusion_model_state_dict", load)
    files = put("diffusion_models", "b.safetensors", tiny.base()), put("model_patches", "a.safetensors", tiny.adapter())
    load_training_model(plan_load(*files), "default", hoi=True, experts=True, seed=0)
    load_cointeract(*files)
    assert asked == [True, False]


@pytest.mark.parametrize(("name", "asked"), [("b.gguf", True), ("b.safetensors", False)])
def test_weights_that_another_pack_quantised_are_not_paged(name, asked, monkeypatch):
    found = []
    monkeypatch.setattr(
        load_model, "load_state_dict_as_model", lambda *_parts, disable_dynamic: found.append(disable_dynamic)
    )
    monkeypatch.setattr(load_model, "gguf_operations", lambda: None)
    with pytest.raises(ModelFileError, match="is no model this ComfyUI can load"):
        load_model.make_patcher(ModelFile("base b", (Path(name),)), {}, None, "default")
    assert found == [asked]
