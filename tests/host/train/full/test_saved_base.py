"""A base that was trained whole: which starting points are refused, and that every loader reads what was saved."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cointeract_pack.cointeract_core.checkpoint.keys import EXPERTS, HOI, PLAIN_KEY
from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract, plan_load
from cointeract_pack.cointeract_core.host.model.dit import CoInteractDiT
from cointeract_pack.cointeract_core.host.train.model import load_training_model, model_stamp
from cointeract_pack.cointeract_core.host.train.results import result_path, save_result
from cointeract_pack.cointeract_core.host.train.whole import check_whole
from cointeract_pack.cointeract_core.training.run.fingerprint import fingerprint
from cointeract_pack.cointeract_core.training.settings.toml import settings_from
from cointeract_pack.cointeract_core.training.step.lora import LoraSet
from cointeract_pack.cointeract_core.training.step.trainable import TrainableModel

NAME = "CoInteract/mine.safetensors"


@pytest.fixture
def results(registered):
    """What a test saves as a base is removed after it."""
    place = result_path(settings_of("base.safetensors"))
    yield place
    shutil.rmtree(place.parent, ignore_errors=True)


def settings_of(base, experts=True, hoi=True, name="mine", **run):
    files = {"base": base, "vae": "v", "text_encoder": "t", "audio_encoder": "a", "train": "full"}
    return settings_from(
        {
            "model": files,
            "data": {"table": "rows.csv"},
            "run": {"name": name, "steps": 10, **run},
            "lora": {"experts": experts},
            "loss": {"router": 0.05 if experts else 0.0},
            "hoi": {"mode": "asymmetric" if hoi else "off"},
        }
    )


def trained(base, settings):
    """A model whose parameters have all been moved, and its precision on disk."""
    plan = plan_load(base, "none")
    experts, hoi = settings.lora.experts, settings.hoi.mode != "off"
    model = load_training_model(plan, "default", hoi=hoi, experts=experts, seed=0)
    none = LoraSet({}, 1, 1.0, torch.Generator())
    module = TrainableModel(model.dit, none, targets=(), experts=experts, hoi=hoi, whole=True)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(5)
        for parameter in module.trainable().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return plan, module, model.file_dtype


def saved(base, **more):
    settings = settings_of(base, **more)
    plan, module, dtype = trained(base, settings)
    identity = fingerprint(settings, data_stamp="rows", model_stamp=model_stamp(plan))
    (path,) = save_result(module.adapter(), settings, dtype, step=10, rows=2, identity=identity)
    return path, module


def with_folder(path):
    """The host lists models of a folder it has seen the change of."""
    import folder_paths

    folder_paths.filename_list_cache.clear()
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_all_of_it_is_trained_in_float32_and_saved_as_it_came(dtype, put, tiny, results):
    base = put("diffusion_models", "base.safetensors", tiny.base(dtype))
    path, module = saved(base)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in module.dit.parameters())
    tensors = load_file(path)
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    ours = module.adapter()
    assert tensors.keys() == {name for name in ours if not name.startswith(HOI)}
    assert all(torch.equal(tensor, ours[name].to(dtype)) for name, tensor in tensors.items())


@pytest.mark.parametrize("experts", [True, False])
@pytest.mark.parametrize("keep_hoi", [True, False])
def test_the_pack_and_the_host_load_it(experts, keep_hoi, put, tiny, results):
    import comfy.sd

    base = put("diffusion_models", "base.safetensors", tiny.base())
    path, module = saved(base, experts=experts, keep_hoi=keep_hoi)
    names = load_file(path).keys()
    assert any(name.startswith(EXPERTS) for name in names) == experts
    assert (PLAIN_KEY in names) != experts
    assert any(name.startswith(HOI) for name in names) == keep_hoi
    ours = load_cointeract(with_folder(path), "none")
    theirs = comfy.sd.load_diffusion_model(str(path))
    assert "no adapter" in ours.report
    for patcher in (ours.patcher, theirs):
        dit = patcher.model.diffusion_model
        assert isinstance(dit, CoInteractDiT)
        assert (dit.experts is not None) == experts
        for name, tensor in dit.state_dict().items():
            expected = module.adapter().get(name)
            if expected is not None:
                assert torch.equal(tensor.float(), expected.to(torch.bfloat16).float()), name


def test_training_goes_on_from_it_with_its_experts_and_its_hoi_stream(put, tiny, results):
    base = put("diffusion_models", "base.safetensors", tiny.base(torch.float32))
    path, module = saved(base, keep_hoi=True)
    _, again, _ = trained_as_saved(with_folder(path))
    before, after = module.adapter(), again.adapter()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def trained_as_saved(base, **more):
    settings = settings_of(base, name="next", **more)
    plan = plan_load(base, "none")
    model = load_training_model(plan, "default", hoi=True, experts=True, seed=3)
    none = LoraSet({}, 1, 1.0, torch.Generator())
    return settings, TrainableModel(model.dit, none, targets=(), experts=True, hoi=True, whole=True), plan


def test_lora_trains_on_from_it(put, tiny, results):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    path, module = saved(base)
    model = load_training_model(plan_load(with_folder(path), "none"), "default", hoi=True, experts=True, seed=0)
    own = model.dit.state_dict()
    name = "cointeract.experts.1.hand.fc1.weight"
    assert torch.equal(own[name].float(), module.adapter()[name].to(torch.bfloat16).float())


def test_an_hoi_stream_in_a_base_stays_out_of_generating(put, tiny, results):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    path, _ = saved(base, keep_hoi=True)
    assert load_cointeract(with_folder(path), "none").patcher.model.diffusion_model.hoi is None


def test_its_metadata_says_what_it_is(put, tiny, results):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    path, _ = saved(base)
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    assert facts["cointeract.train"] == "full"
    assert facts["modelspec.architecture"] == "wan-2.2-s2v-14b"
    assert facts["cointeract.steps"] == "10"
    assert not [name for name in facts if "rank" in name or "network_dim" in name]


def refusal(base, adapter="none", name="mine"):
    with pytest.raises(ModelFileError) as caught:
        check_whole(plan_load(base, adapter), result_path(settings_of(base, name=name)))
    return str(caught.value)


def test_lora_over_the_base_is_refused(put, tiny, registered):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    adapter = put("loras", "moe.safetensors", tiny.adapter())
    assert refusal(base, adapter) == (
        f"adapter moe.safetensors brings LoRA for {len(tiny.LORA_MODULES)} layers, but with model.train full every "
        "parameter of the base itself is trained; choose none as adapter, or train lora."
    )


def test_an_adapter_of_experts_alone_is_taken(put, tiny, registered):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    experts = put("loras", "experts.safetensors", tiny.experts(tiny.adapter()))
    check_whole(plan_load(base, experts), result_path(settings_of(base)))


@pytest.mark.parametrize("form", ["fp8", "scaled fp8"])
def test_weights_in_8_bits_are_refused(form, put, tiny, registered):
    state = tiny.scaled_fp8(tiny.base())
    if form == "fp8":
        state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tiny.base().items()}
    base = put("diffusion_models", "base.safetensors", state)
    assert refusal(base) == (
        "base base.safetensors holds weights in F8_E4M3, but model.train full needs weights that can take small steps; "
        "choose one in fp32, fp16, bf16, or train lora."
    )


def test_a_gguf_is_refused(put, tiny, registered, tmp_path):
    plan = plan_load(put("diffusion_models", "base.safetensors", tiny.base()), "none")
    base = SimpleNamespace(what="base b.gguf", is_gguf=True, paths=plan.base.paths)
    gguf = SimpleNamespace(base=base, adapter=None, adapter_file=None)
    with pytest.raises(ModelFileError, match=r"^base b\.gguf is a GGUF, whose weights are quantised, but model\.train"):
        check_whole(gguf, tmp_path / "mine.safetensors")


def test_a_run_does_not_write_over_the_base_it_starts_from(put, tiny, results):
    path, _ = saved(put("diffusion_models", "base.safetensors", tiny.base()))
    assert refusal(with_folder(path)) == (
        f"base {NAME} is where this run would write its own base, but the one it starts from is needed to resume; "
        "choose another run.name."
    )
    check_whole(plan_load(with_folder(path), "none"), result_path(settings_of(NAME, name="other")))


def test_without_experts_a_plain_base_trains_as_our_class(put, tiny, registered):
    """Also with LoRA: the host's own class knows no product and no HOI stream."""
    base = put("diffusion_models", "base.safetensors", tiny.base())
    dit = load_training_model(plan_load(base, "none"), "default", hoi=True, experts=False, seed=0).dit
    assert isinstance(dit, CoInteractDiT)
    assert dit.experts is None
    assert dit.hoi is not None
