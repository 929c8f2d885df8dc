"""A LoRA on experts that are kept in float8 is added to their true numbers, whichever way ComfyUI keeps the weight."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.lora
import pytest
import torch
from comfy.model_patcher import LowVramPatch

from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.forms import LayerWeights

LAYER = "diffusion_model.cointeract.experts.0.hand.fc1"
KEY = f"{LAYER}.weight"


@pytest.fixture
def case(tiny, put, registered):
    """Float8 experts with a LoRA on one layer, that layer, and what its weight should come to."""
    files = (
        put("diffusion_models", "base.safetensors", tiny.base()),
        put("model_patches", "checkpoint.safetensors", tiny.adapter()),
    )
    patcher = load_cointeract(*files, experts_fp8=True).patcher.clone()
    layer = patcher.model.diffusion_model.experts[0].hand.fc1
    true = layer.weight.float() * layer.expert_scale
    generator = torch.Generator().manual_seed(3)
    up = torch.randn(true.shape[0], 2, generator=generator) * 0.08
    down = torch.randn(2, true.shape[1], generator=generator) * 0.08
    lora = {f"{LAYER}.lora_up.weight": up, f"{LAYER}.lora_down.weight": down}
    patches = comfy.lora.load_lora(lora, comfy.lora.model_lora_keys_unet(patcher.model, {}))
    assert patcher.add_patches(patches, 1.0) == [KEY]
    return SimpleNamespace(patcher=patcher, layer=layer, true=true, wanted=true + up @ down)


def check(found, case):
    """Within a float8 step of what is wanted; nowhere near what an addition without the scale would give."""
    step = case.layer.expert_scale
    error = (found - case.wanted).abs()
    assert (error <= case.wanted.abs() / 8 + step).all()
    moved = (case.wanted - case.true).norm()
    assert (found - case.wanted).norm() < 0.2 * moved  # the LoRA changes the weight by much more than rounding does


def lent(case):
    with torch.no_grad(), LayerWeights(case.layer, torch.zeros(1, case.true.shape[1])) as (weight, _):
        return weight.float()


def test_patched_once_when_loaded(case):
    before = case.layer.weight.clone()
    case.patcher.patch_weight_to_device(KEY)
    assert case.layer.weight.dtype == torch.float8_e4m3fn
    check(case.layer.weight.float() * case.layer.expert_scale, case)
    check(lent(case), case)
    case.patcher.unpatch_model()
    assert torch.equal(case.layer.weight.view(torch.uint8), before.view(torch.uint8))


@pytest.mark.parametrize("how", ["assigned", "appended"])
def test_patched_each_time_where_it_is_not_kept_in_video_memory(how, case):
    patch = LowVramPatch(KEY, case.patcher.patches, case.layer.convert_weight, case.layer.set_weight)
    if how == "assigned":
        case.layer.weight_function = [patch]
    else:
        case.layer.weight_function.append(patch)
    assert len(case.layer.weight_function) == 1
    check(lent(case), case)
    case.layer.weight_function = []
    assert torch.allclose(lent(case), case.true)


def test_patched_where_it_is_paged(case):
    """Newer ComfyUI calls it with the layer's numbers in float32, and keeps what it gives in float8."""
    patch = LowVramPatch(KEY, case.patcher.patches)
    case.layer.weight_lowvram_function = patch
    kept = case.layer.weight_lowvram_function(case.layer.weight.float())
    if kept is not None and not hasattr(patch, "prepare"):
        pytest.skip("This ComfyUI pages nothing.")
    check(kept.to(torch.float8_e4m3fn).float() * case.layer.expert_scale, case)
    assert case.layer.weight_lowvram_function.is_lowvram_patch
    case.layer.weight_lowvram_function = None
    assert case.layer.weight_lowvram_function is None


def test_models_are_merged_by_true_numbers(case):
    (weight, convert), *_ = case.patcher.get_key_patches(KEY)[KEY]
    assert torch.allclose(convert(weight.clone(), inplace=False), case.true)


def test_layers_without_a_scale_stay_as_they_are(case):
    last = case.patcher.model.diffusion_model.experts[0].router[3]
    weight = last.weight.clone()
    assert torch.equal(last.convert_weight(weight), weight)
    last.set_weight(weight.float() + 1)
    assert last.weight.dtype == weight.dtype
    assert torch.allclose(last.weight.float(), (weight.float() + 1).to(weight.dtype).float())
