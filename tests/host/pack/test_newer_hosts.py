"""On the oldest host, what newer ones do: each fault they brought to light, with a double of the newer form."""

from __future__ import annotations

import threading
from dataclasses import replace

import comfy.model_detection
import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.supported_models
import pytest
import torch
from comfy.model_patcher import ModelPatcher

from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.model import clip_cache
from cointeract_pack.cointeract_core.host.model.parking import is_parked
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.cointeract_core.host.model.registration import CoInteractConfig
from cointeract_pack.cointeract_core.host.video.check_memory import check_memory
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host import clip_runs
from cointeract_pack.tests.host.clip_runs import apart, elsewhere, sample, small_patcher
from cointeract_pack.tests.host.stand_ins import LateLinear, Pages, PagingPatcher, renamed_scales

pytestmark = pytest.mark.usefixtures("registered")
SETTINGS = replace(clip_runs.SETTINGS, steps=2)


@pytest.fixture(autouse=True)
def nothing_stays_loaded():
    yield
    comfy.model_management.unload_all_models()


@pytest.fixture
def patcher():
    return small_patcher()


@pytest.fixture
def conditions(small_scene):
    motion = torch.randn(1, 16, 19, 8, 8, generator=torch.Generator().manual_seed(5))
    return clip_conditions(small_scene, small_scene.speech.plan.clips[0], motion)


def paging(patcher):
    """The same model in a patcher that pages its weights, loaded to another device than it rests on."""
    return elsewhere(PagingPatcher(patcher.model, patcher.load_device, patcher.offload_device))


class TestEveryModelsPath:
    """Our entry in the host's list is asked about each model of each kind."""

    @pytest.fixture
    def state(self, tiny):
        return tiny.merged()

    @pytest.mark.parametrize("more", [{}, {"unet_key_prefix": ""}, {"unet_key_prefix": "x.", "another": 1}])
    def test_further_arguments(self, more, state, monkeypatch):
        theirs = comfy.supported_models.WAN22_S2V.__mro__[-2]
        own = theirs.__dict__["matches"].__func__
        monkeypatch.setattr(
            theirs, "matches", classmethod(lambda cls, config, state=None, **_more: own(cls, config, state))
        )
        config = comfy.model_detection.detect_unet_config(state, "")
        assert CoInteractConfig.matches(config, state, **more)
        assert not CoInteractConfig.matches({"image_model": "flux"}, state, **more)
        assert not CoInteractConfig.matches(config, {}, **more)

    def test_whatever_goes_wrong_the_model_is_not_ours(self, monkeypatch, caplog):
        class Odd(dict):
            def __contains__(self, key):
                raise LookupError("a state dict of a kind not known yet")

            __iter__ = items = keys = __contains__

        config = dict(CoInteractConfig.unet_config)
        for _ in range(3):
            assert CoInteractConfig.matches(Odd(), Odd()) is False
            assert CoInteractConfig.matches(config, 7) is False
        told = [record for record in caplog.records if "could not tell whether a model is its own" in record.message]
        assert 1 <= len(told) <= 2

    def test_models_that_earlier_entries_know_never_come_by(self):
        models = comfy.supported_models.models
        assert models.index(CoInteractConfig) == models.index(comfy.supported_models.WAN22_S2V) - 1 > 20


class TestPaging:
    """The dynamic patcher: parking is off, every request passes through."""

    def test_a_clip_comes_out_the_same(self, patcher, conditions, monkeypatch):
        here = sample(patcher, conditions, SETTINGS)
        paged = paging(patcher)
        pages = Pages().install(monkeypatch)
        assert torch.equal(sample(paged, conditions, SETTINGS), here)
        assert pages.most > 0

    def test_what_is_lent_is_handed_back(self, patcher, conditions, monkeypatch):
        pages = Pages().install(monkeypatch)
        sample(paging(patcher), conditions, SETTINGS)
        assert not +pages.held
        assert pages.most <= 4  # both experts at once, and no more than that anywhere

    def test_every_layer_gets_its_place(self, patcher):
        ours = prepared(paging(patcher))
        comfy.model_management.load_models_gpu([ours])
        layers = {name: layer for name, layer in ours.model.named_modules() if hasattr(layer, "comfy_cast_weights")}
        assert all(hasattr(layer, "page") for layer in layers.values() if list(layer.parameters()))
        assert any(is_parked(name) for name in layers)
        assert ours.model_size() == comfy.model_management.module_size(patcher.model)

    def test_clones_stay_paging(self, patcher):
        ours = prepared(paging(patcher))
        again = prepared(ours.clone())
        assert type(again) is type(ours)
        assert isinstance(again, PagingPatcher)

    def test_the_runs_constants_go_first(self, patcher):
        ours = prepared(paging(patcher))
        ours.run_cache = run = clip_cache.RunCache()
        run.here().step._attended = type("Kept", (), {"tokens": torch.zeros(100)})()
        assert ours.partially_unload(ours.offload_device, 300) == 400
        assert ours.partially_unload(ours.offload_device, memory_to_free=5000) == 1000

    def test_what_the_user_is_told(self, patcher, monkeypatch):
        monkeypatch.setattr(comfy.model_management, "is_device_cpu", lambda _device: False)
        monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda _device: 24e9)
        note = check_memory(prepared(paging(patcher)), 5e9)
        assert note.startswith("About 5.0 GB of video memory beside the weights; ComfyUI brings the ")
        assert "come from main memory" not in note

    def test_a_clone_without_paging(self, tiny, put, monkeypatch):
        """Nodes that compile the model, give each conditioning a LoRA, or use several GPUs ask for one."""
        files = (
            put("diffusion_models", "b.safetensors", tiny.base()),
            put("model_patches", "a.safetensors", tiny.adapter()),
        )
        make = comfy.sd.load_diffusion_model_state_dict

        def load(state, model_options=None, metadata=None, disable_dynamic=False):
            made = make(state, model_options=model_options)
            kind = ModelPatcher if disable_dynamic else PagingPatcher
            return kind(made.model, made.load_device, made.offload_device)

        monkeypatch.setattr(comfy.sd, "load_diffusion_model_state_dict", load)
        paged = load_cointeract(*files, experts_fp8=True).patcher
        assert isinstance(paged, PagingPatcher)
        plain = prepared(paged).clone(disable_dynamic=True)
        assert not isinstance(plain, PagingPatcher)
        assert isinstance(plain, ModelPatcher)
        assert plain.model is not paged.model
        theirs = paged.model.diffusion_model.state_dict()
        for name, tensor in plain.model.diffusion_model.state_dict().items():
            assert torch.equal(tensor.view(-1).view(torch.uint8), theirs[name].view(-1).view(torch.uint8)), name


class TestFiles:
    """Names that newer hosts give and read."""

    def test_float8_experts_over_a_scaled_base(self, tiny, put, monkeypatch):
        """The host renames every scale of such a base, and would rename ours with them."""
        files = (
            put("diffusion_models", "b.safetensors", tiny.scaled_fp8(tiny.base())),
            put("model_patches", "a.safetensors", tiny.adapter()),
        )
        seen = []
        make = comfy.sd.load_diffusion_model_state_dict

        def load(state, **how):
            seen.append(renamed_scales(state))
            return make(state, **how)

        monkeypatch.setattr(comfy.sd, "load_diffusion_model_state_dict", load)
        model = load_cointeract(*files, experts_fp8=True).patcher.model.diffusion_model
        ours = {name: tensor for name, tensor in seen[0].items() if name.startswith("cointeract.")}
        assert set(ours) == {name for name in model.state_dict() if name.startswith("cointeract.")}
        assert any(name.endswith(".weight_scale") for name in seen[0])

    @pytest.mark.parametrize("name", ["scale_weight", "weight_scale"])
    def test_scales_of_before_are_read(self, name, tiny, put):
        """From a file through our loader, and from a loader of the host's that has renamed and marked them."""
        files = (
            put("diffusion_models", "b.safetensors", tiny.base()),
            put("model_patches", "a.safetensors", tiny.adapter()),
        )
        model = load_cointeract(*files, experts_fp8=True).patcher.model.diffusion_model
        wanted = model.cointeract.state_dict()
        old = {key.replace("expert_scale", name): tensor.clone() for key, tensor in model.state_dict().items()}
        again = load_cointeract(put("diffusion_models", "old.safetensors", old), None).patcher
        renamed = renamed_scales({**old, "scaled_fp8": torch.zeros(2)})
        theirs = comfy.sd.load_diffusion_model_state_dict(renamed)
        for patcher in (again, theirs):
            found = patcher.model.diffusion_model.cointeract.state_dict()
            assert found.keys() == wanted.keys()
            for key, tensor in wanted.items():
                assert torch.equal(tensor.view(-1).view(torch.uint8), found[key].view(-1).view(torch.uint8)), key


def test_float8_experts_of_layers_made_late(tiny, put, monkeypatch):
    """Layers have no tensors until they are loaded."""
    files = put("diffusion_models", "b.safetensors", tiny.base()), put("model_patches", "a.safetensors", tiny.adapter())
    for name in ("__init__", "_load_from_state_dict"):
        monkeypatch.setattr(comfy.ops.disable_weight_init.Linear, name, LateLinear.__dict__[name], raising=False)
    late = load_cointeract(*files, experts_fp8=True).patcher.model.diffusion_model.cointeract.state_dict()
    assert {name.rpartition(".")[2] for name in late} == {"weight", "bias", "expert_scale"}
    assert sum(tensor.dtype == torch.float8_e4m3fn for tensor in late.values()) == 5 * tiny.LAYERS
    assert all(tensor.float().abs().max() > 0 for name, tensor in late.items() if name.endswith("weight"))


class TestPassesSideBySide:
    """Several GPUs: the passes of a step run in a thread each, over one set of options."""

    def test_nothing_is_shared_between_threads(self):
        run, seen = clip_cache.RunCache(), []
        both = threading.Barrier(2)

        def one_pass(device):
            both.wait()
            options = {clip_cache.OPTION: run, "uuids": [str(device)]}
            latents = torch.zeros(1, device=device)
            scene = type("Scene", (), {"__dataclass_fields__": {}, "layout": None})
            seen.append(clip_cache.constants_for(options, latents, lambda: scene)[1])

        threads = [threading.Thread(target=one_pass, args=(device,)) for device in ("cpu", "meta")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(step) for step in seen}) == 2

    def test_a_clip_comes_out_the_same(self, patcher, conditions, monkeypatch):
        """Positive and negative pass in a thread of their own, begun at the same moment, as with two cards."""
        apart(patcher, monkeypatch)
        expected = sample(patcher, conditions, SETTINGS)
        assert torch.equal(in_two_threads(patcher, conditions, monkeypatch), expected)


def in_two_threads(patcher, conditions, monkeypatch):
    """Sample with the host's batches of both passes taken apart and run side by side."""
    import comfy.samplers

    own = comfy.samplers.calc_cond_batch

    def side_by_side(model, conds, x, timestep, model_options):
        outs, errors = [None] * len(conds), []
        begin = threading.Barrier(len(conds))

        def run(number):
            begin.wait()
            alone = [cond if place == number else None for place, cond in enumerate(conds)]
            try:
                with torch.inference_mode():
                    outs[number] = own(model, alone, x, timestep, model_options)[number]
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(len(conds))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return outs

    monkeypatch.setattr(comfy.samplers, "calc_cond_batch", side_by_side)
    return sample(patcher, conditions, SETTINGS)
