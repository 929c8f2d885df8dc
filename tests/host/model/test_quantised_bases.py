"""Experts and LoRA over every form of quantised base that the ComfyUI at hand can build."""

from __future__ import annotations

import json
from dataclasses import replace

import comfy.ops
import comfy.quant_ops
import pytest
import torch

from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host import clip_runs

pytestmark = pytest.mark.usefixtures("registered")
FORMATS = ("float8_e4m3fn", "float8_e5m2", "mxfp8", "nvfp4", "int8_tensorwise", "convrot_w4a4", "asym_w4a8_int8")
DIM = 256
GROUPS = {"convrot_w4a4": 256, "asym_w4a8_int8": 256}  # the width of a layer is whole ones
COARSE = ("nvfp4", "convrot_w4a4", "asym_w4a8_int8")  # four bits a weight
QUANTISED = (".self_attn.q", ".self_attn.k", ".cross_attn.v", ".cross_attn.k", ".ffn.0", ".ffn.2")


def quantised(state: dict[str, torch.Tensor], form: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A base in a form, as ComfyUI's own classes write it, and the weights that stand in it in plain numbers."""
    tensor_of, algorithms = comfy.quant_ops.QuantizedTensor, comfy.quant_ops.QUANT_ALGOS
    if form not in algorithms:
        pytest.skip(f"This ComfyUI has no bases in {form}.")
    if not hasattr(tensor_of, "state_dict"):
        pytest.skip("This ComfyUI reads such bases but has no means to write one.")
    layout = algorithms[form]["comfy_tensor_layout"]
    file, plain = {}, {}
    for name, weight in state.items():
        layer = name.removesuffix(".weight")
        chosen = layer != name and layer.startswith("blocks.") and layer.endswith(QUANTISED)
        if not chosen or weight.shape[-1] % GROUPS.get(form, 1):
            file[name] = plain[name] = weight
            continue
        packed = tensor_of.from_float(weight, layout, **({"scale": "recalculate"} if "float8" in form else {}))
        file |= packed.state_dict(name)
        file[f"{layer}.comfy_quant"] = torch.tensor(list(json.dumps({"format": form}).encode()), dtype=torch.uint8)
        plain[name] = packed.dequantize()
    return file, plain


@pytest.fixture(params=FORMATS)
def files(request, tiny, put):
    """A base of a form, and the same numbers in plain."""
    state = {name: value * (3 if "_attn" in name else 1) for name, value in tiny.base(torch.bfloat16, DIM).items()}
    packed, plain = quantised(state, request.param)
    adapter = {name: value * (4 if "lora" in name else 1) for name, value in tiny.adapter(dim=DIM).items()}
    put("model_patches", "a.safetensors", adapter)
    return (
        request.param,
        put("diffusion_models", "q.safetensors", packed),
        put("diffusion_models", "p.safetensors", plain),
    )


@pytest.fixture
def conditions(small_scene):
    generator = torch.Generator().manual_seed(3)
    speech = replace(small_scene.speech, features=torch.randn(25, 1024, 160, generator=generator))
    texts = [[[torch.randn(1, 6, 4096, generator=generator), {}]] for _ in range(2)]
    prompts = replace(small_scene.prompts, positive=(texts[0],), negative=texts[1])
    scene = replace(small_scene, speech=speech, prompts=prompts)
    return clip_conditions(scene, scene.speech.plan.clips[0], None)


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.cosine_similarity(one.flatten().double(), other.flatten().double(), dim=0).item()


def sample(name: str, conditions: object, **how: object) -> torch.Tensor:
    settings = replace(clip_runs.SETTINGS, steps=2)
    patcher = load_cointeract(name, "a.safetensors", **how).patcher
    moved = clip_runs.elsewhere(patcher)
    return clip_runs.sample(moved, conditions, settings).float()


@pytest.mark.parametrize("experts_fp8", [False, True])
def test_a_clip_is_that_of_the_same_numbers(files, conditions, experts_fp8):
    """As near as the form's own rounding of what is multiplied, and the LoRA acts as it does on plain numbers."""
    form, packed, plain = files
    near = 0.97 if form in COARSE else 0.995
    found = {s: sample(packed, conditions, strength=s, experts_fp8=experts_fp8) for s in (0.0, 1.0)}
    wanted = {s: sample(plain, conditions, strength=s, experts_fp8=experts_fp8) for s in (0.0, 1.0)}
    assert alike(found[0.0], wanted[0.0]) > near
    assert alike(found[1.0], wanted[1.0]) > near
    assert alike(wanted[1.0], wanted[0.0]) < 0.999  # the LoRA is strong enough to be missed
    assert alike(found[1.0] - found[0.0], wanted[1.0] - wanted[0.0]) > 0.6


def test_experts_stay_bit_exact(files, tiny):
    _, packed, _ = files
    model = load_cointeract(packed, "a.safetensors").patcher.model.diffusion_model
    state = model.state_dict()
    for name, tensor in tiny.experts(tiny.adapter(dim=DIM)).items():
        assert torch.equal(state[name], tensor), name
    layer = model.blocks[0].ffn[0]
    assert isinstance(layer.weight, comfy.ops.QuantizedTensor)
