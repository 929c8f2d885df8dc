"""Weights that only make constants: kept out of video memory by the host's own means, without changing a bit."""

from __future__ import annotations

from dataclasses import replace

import comfy.model_management
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from cointeract_pack.cointeract_core.clips.parts import PersonReference
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.model.base_model import PRODUCT
from cointeract_pack.cointeract_core.host.model.clip_cache import tensors_in
from cointeract_pack.cointeract_core.host.model.parking import Parking, is_parked
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.cointeract_core.host.video.check_memory import check_memory, forward_memory
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.cointeract_core.model.forward import forward
from cointeract_pack.cointeract_core.model.inputs import ClipInputs
from cointeract_pack.cointeract_core.model.prepare import prepare_clip
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import ELSEWHERE, GPU_KERNELS, elsewhere, small_patcher

SETTINGS = replace(clip_runs.SETTINGS, steps=2, shift=5.0)
TEXT_KEY, PROJECTION = "diffusion_model.blocks.1.cross_attn.k", "diffusion_model.time_projection.1"


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def patcher(request):
    return small_patcher(request.param)


@pytest.fixture
def conditions(small_scene):
    motion = torch.randn(1, 16, 19, 8, 8, generator=torch.Generator().manual_seed(5))
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], motion)


@pytest.fixture(autouse=True)
def nothing_stays_loaded():
    yield
    comfy.model_management.unload_all_models()


def with_lora(patcher, strength=1.0):
    """Patches on a layer that is parked and on one that is not."""
    patched = patcher.clone()
    for name in (TEXT_KEY, "diffusion_model.blocks.0.ffn.0"):
        weight = patcher.get_model_object(name).weight
        delta = torch.randn(weight.shape, generator=torch.Generator().manual_seed(7)) * 0.02
        patched.add_patches({f"{name}.weight": ("diff", (delta,))}, strength)
    return patched


def sample(patcher, conditions):
    return clip_runs.sample(patcher, conditions, SETTINGS)


def test_loading_leaves_what_makes_constants_where_it_rests(patcher):
    """On the meta device, which keeps no numbers but tells where a tensor is."""
    parked = prepared(patcher)
    parked.load_device = torch.device("meta")
    parked.load(parked.load_device, full_load=True)
    for name, module in parked.model.named_modules():
        if hasattr(module, "comfy_cast_weights") and list(module.parameters(recurse=False)):
            expected = "cpu" if is_parked(name) else "meta"
            assert {tensor.device.type for tensor in module.parameters(recurse=False)} == {expected}, name
            assert module.comfy_cast_weights or not is_parked(name)
    # learned rows that belong to no layer are brought in with the constants
    assert 0.95 * parked.model_size() < parked.loaded_size() <= parked.model_size() < parked.get_ram_usage()


def test_which_layers_make_constants(patcher):
    parked = {name for name, module in patcher.model.named_modules() if is_parked(name) and list(module.parameters())}
    leaves = {name.removeprefix("diffusion_model.") for name in parked}
    assert "blocks.0.cross_attn.k" in leaves
    assert "audio_injector.injector.0.v" in leaves
    assert "time_projection.1" in leaves
    # asked in every forward
    for name in ("blocks.0.cross_attn.q", "blocks.0.self_attn.k", "patch_embedding", "head.head"):
        assert name not in leaves
    assert not any(name.startswith(("cointeract", "trainable")) for name in leaves)


@pytest.mark.parametrize("strength", [None, 0.7])
def test_parking_changes_no_bit(patcher, conditions, strength):
    patcher = patcher if strength is None else with_lora(patcher, strength)
    here = sample(patcher, conditions)
    comfy.model_management.unload_all_models()
    moved = elsewhere(patcher)
    assert torch.equal(sample(moved, conditions), here)
    assert torch.equal(sample(moved, conditions), here)  # loaded already


def test_another_strength_reaches_parked_layers(patcher, conditions):
    moved = elsewhere(patcher)
    plain = sample(moved, conditions)
    for strength in (1.0, -0.5):
        stronger = with_lora(moved, strength)
        there = sample(stronger, conditions)
        assert not torch.equal(there, plain)
        comfy.model_management.unload_all_models()
        assert torch.equal(there, sample(with_lora(patcher, strength), conditions))
        comfy.model_management.unload_all_models()
    assert torch.equal(sample(moved, conditions), plain)


def test_unloading_restores_every_weight_and_mark(patcher):
    before = {name: tensor.clone() for name, tensor in patcher.model.state_dict().items()}
    moved = prepared(with_lora(elsewhere(patcher)))
    comfy.model_management.load_models_gpu([moved])
    layer = moved.get_model_object(TEXT_KEY)
    assert layer.comfy_cast_weights
    assert not torch.equal(layer.weight, before[f"{TEXT_KEY}.weight"])
    moved.detach()
    assert all(torch.equal(tensor, before[name]) for name, tensor in patcher.model.state_dict().items())
    assert not hasattr(layer, "prev_comfy_cast_weights")


def test_a_stock_clone_may_take_the_model_over(patcher, conditions):
    """A node of another pack may have made its own patcher of the same model."""
    moved = prepared(with_lora(elsewhere(patcher)))
    expected = sample(moved, conditions)
    stock = ModelPatcher(patcher.model, ELSEWHERE, patcher.offload_device)
    comfy.model_management.load_models_gpu([stock])
    comfy.model_management.unload_all_models()
    assert torch.equal(sample(moved, conditions), expected)


def test_on_one_device_nothing_is_parked(patcher):
    parked = prepared(patcher)
    assert parked.model_size() == comfy.model_management.module_size(patcher.model)
    comfy.model_management.load_models_gpu([parked])
    assert not hasattr(parked.get_model_object(PROJECTION), "prev_comfy_cast_weights")


def test_clones_stay_of_their_kind(patcher):
    parked = prepared(elsewhere(patcher))
    assert isinstance(parked, Parking)
    assert isinstance(parked, ModelPatcher)
    again = prepared(parked.clone().clone())
    assert type(again) is type(parked)
    assert again.model_size() == parked.model_size()

    class Other(ModelPatcher):
        pass

    other = patcher.clone()
    other.__class__ = Other
    wrapped = prepared(other)
    assert isinstance(wrapped, Other)
    assert isinstance(wrapped.clone(), type(wrapped))


def test_part_of_the_weights_in_video_memory(patcher, conditions):
    """A card too small for the rest too: the host brings other layers in as well."""
    here = sample(patcher, conditions)
    moved = prepared(elsewhere(patcher))
    moved.patch_model(ELSEWHERE, lowvram_model_memory=moved.model_size() // 2)
    assert 0 < moved.loaded_size() < moved.model_size()
    marked = [module for module in moved.model.modules() if hasattr(module, "prev_comfy_cast_weights")]
    assert len(marked) > sum(1 for _ in moved._parked_modules())
    moved.detach()
    assert torch.equal(sample(patcher, conditions), here)


def test_the_hosts_call_for_memory_takes_the_constants_first(patcher, conditions):
    freed, kept, clones = [], [], []

    def prepare(model):
        clones.append(model)

        def ask(executor, *args, **kwargs):
            out = executor(*args, **kwargs)
            size = model.loaded_size()
            freed.append(model.partially_unload(model.offload_device, 1000))
            kept.append(model.loaded_size() == size)
            return out

        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "ask", ask)

    plain = sample(patcher, conditions)
    out = clip_runs.sample(elsewhere(patcher), conditions, SETTINGS, prepare)
    assert torch.equal(out, plain)
    assert min(freed) >= 1000
    assert all(kept)
    (model,) = clones
    assert model.run_cache is None


class TestRoom:
    """What the user is told before a run."""

    @pytest.fixture
    def card(self, monkeypatch):
        """A device of some size; whether the attention is lean is the host's to say."""

        def of(size):
            monkeypatch.setattr(comfy.model_management, "is_device_cpu", lambda _device: False)
            monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda _device: size)
            monkeypatch.setattr(comfy.model_management, "extra_reserved_memory", lambda: 0)

        monkeypatch.setattr(comfy.model_management, "pytorch_attention_flash_attention", lambda: True)
        return of

    def test_too_small_a_card(self, patcher, small_scene, card):
        needed = forward_memory(patcher, small_scene)
        card(needed / 2)
        with pytest.raises(InputError, match=r"needs about .* GB of video memory .* choose a smaller video"):
            check_memory(prepared(patcher), needed)

    def test_what_stays_in_main_memory(self, patcher, small_scene, card):
        parked = prepared(patcher)
        needed = forward_memory(parked, small_scene)
        card(needed + parked.model_size())
        assert check_memory(parked, needed).endswith("which fit.")
        card(needed + parked.model_size() / 2)
        assert "come from main memory in every pass" in check_memory(parked, needed)

    def test_every_condition_counts(self, patcher, small_scene, card):
        card(0)
        bare = replace(small_scene, product=None)
        larger = replace(
            small_scene, person=PersonReference(torch.zeros(1, 16, 1, 16, 16), VideoSize(128, 128)), product=None
        )
        amounts = [forward_memory(patcher, scene) for scene in (bare, small_scene, larger)]
        assert amounts == sorted(set(amounts))


def test_a_pass_with_parked_weights_stays_on_the_device(patcher, conditions):
    """On the meta device, whose products and sums take no tensor of another: parked layers come in, none is missed."""
    parked = prepared(patcher)
    parked.load_device = device = torch.device("meta")
    parked.load(device, full_load=True)
    dit, values = parked.model.diffusion_model, conditions.positive[0][1]

    def there(tensor):
        return tensor.to(device=device, dtype=dit.dtype)

    latents = there(torch.zeros(1, 16, 20, 8, 8))
    clip = ClipInputs(
        context=there(conditions.positive[0][0]),
        audio=there(values["audio_embed"]),
        person=there(values["reference_latents"][0]),
        product=there(values[PRODUCT]),
        motion=there(values["reference_motion"]),
        pose=latents,
    )
    with torch.inference_mode():
        constants = prepare_clip(dit, latents, clip)
        out = forward(dit, latents, there(torch.tensor([500.0])), constants, GPU_KERNELS, gate=True).video
    assert {tensor.device.type for tensor in tensors_in([constants.scene, constants.text])} == {"meta"}
    assert (out.shape, out.device.type, out.dtype) == (latents.shape, "meta", dit.dtype)
