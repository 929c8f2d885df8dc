"""Files and models that do not belong here, through the loader and the node, with the exact sentences."""

from __future__ import annotations

import comfy.utils
import pytest
import torch
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.errors import CheckpointKeysError, ModelFileError
from cointeract_pack.cointeract_core.host.files import folders
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract, plan_load

pytestmark = pytest.mark.usefixtures("registered")
WANTED = (
    "but CoInteract runs on Wan2.2-S2V-14B; choose wan2.2_s2v_14B_bf16.safetensors, its fp8_scaled version, the "
    "published shards or a GGUF as base."
)


def refusal(function, *arguments, error=ModelFileError, **named):
    """What a refused choice says."""
    with pytest.raises(error) as caught:
        function(*arguments, **named)
    return str(caught.value)


@pytest.fixture
def nothing_loaded(monkeypatch):
    """Fails the test where a state dict is read before the headers were found to fit."""

    def read(*_arguments, **_named):
        raise AssertionError("a model was loaded before it was checked")

    monkeypatch.setattr(comfy.utils, "load_torch_file", read)


@pytest.fixture
def other_wan(tiny):
    """State dicts of other Wan models of the same size."""
    backbone = {
        name: value
        for name, value in tiny.base().items()
        if name.startswith(("blocks", "head", "patch", "text", "time"))
    }
    one = {"": torch.ones(1)}
    wide = {"patch_embedding.weight": torch.zeros(tiny.DIM, 36, 1, 2, 2)}
    marks = {
        "text-to-video (T2V)": {},
        "image-to-video (I2V)": wide,
        "Animate": {"face_adapter.fuser_blocks.0.k_norm.weight": one[""]},
        "VACE": {"vace_patch_embedding.weight": one[""]},
    }
    return {model: backbone | mark for model, mark in marks.items()}


@pytest.mark.usefixtures("nothing_loaded")
@pytest.mark.parametrize("model", ["text-to-video (T2V)", "image-to-video (I2V)", "Animate", "VACE"])
def test_other_wan_models(model, other_wan, put):
    name = put("diffusion_models", "wan.safetensors", other_wan[model])
    assert refusal(load_cointeract, name, "none") == f"base wan.safetensors holds the Wan {model} model, {WANTED}"


@pytest.mark.usefixtures("nothing_loaded")
def test_missing_files(model_folder):
    model_folder("diffusion_models")
    assert refusal(load_cointeract, "gone.safetensors", "none") == (
        "base gone.safetensors is not in models/diffusion_models; put the file there and refresh the page."
    )


@pytest.mark.usefixtures("nothing_loaded")
def test_missing_adapter(tiny, put):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    assert refusal(load_cointeract, base, "gone.safetensors") == (
        "adapter gone.safetensors is not in models/model_patches or models/loras; put the file there and refresh the "
        "page."
    )


@pytest.mark.usefixtures("nothing_loaded")
def test_names_cannot_leave_the_folder(tmp_path, model_folder):
    save_file({"a": torch.zeros(1)}, tmp_path / "outside.safetensors")
    up = "../" * len((model_folder("diffusion_models")).parts)
    assert "is not in models/diffusion_models" in refusal(plan_load, f"{up}{tmp_path}/outside.safetensors", None)


@pytest.mark.usefixtures("nothing_loaded")
def test_truncated_and_renamed_files(tiny, put, model_folder):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    folder = model_folder("model_patches")
    put("model_patches", "short.safetensors", tiny.adapter())
    data = (folder / "short.safetensors").read_bytes()
    (folder / "short.safetensors").write_bytes(data[:-1000])
    assert refusal(load_cointeract, base, "short.safetensors") == (
        f"adapter short.safetensors is cut off or damaged ({len(data) - 1000:,} bytes do not match its header), but a "
        "whole safetensors file was expected; download it again."
    )
    torch.save(tiny.adapter(), folder / "pickle.safetensors")
    assert refusal(load_cointeract, base, "pickle.safetensors") == (
        "adapter pickle.safetensors is a PyTorch file (a zipped pickle), but a safetensors file was expected; download "
        "the original file, renaming does not convert it."
    )


@pytest.mark.usefixtures("nothing_loaded")
def test_missing_shards(tiny, put):
    first = put("diffusion_models", "diffusion_pytorch_model-00001-of-00004.safetensors", tiny.base())
    put("diffusion_models", "diffusion_pytorch_model-00003-of-00004.safetensors", {"x": torch.zeros(1)})
    assert refusal(load_cointeract, first, "none") == (
        "base diffusion_pytorch_model-00001-of-00004.safetensors is one of 4 shards, but "
        "diffusion_pytorch_model-00002-of-00004.safetensors, diffusion_pytorch_model-00004-of-00004.safetensors are "
        "not beside it; put all 4 into the same folder."
    )


@pytest.mark.usefixtures("nothing_loaded")
def test_adapters_that_do_not_fit(tiny, put):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    wide = put("loras", "wide.safetensors", tiny.adapter(dim=256))
    assert refusal(load_cointeract, base, wide) == (
        "adapter wide.safetensors is for a model of width 256, but the base is 128 wide; choose the adapter made for "
        "this base."
    )
    other = put("loras", "flux.safetensors", {"double_blocks.0.img_attn.qkv.lora_A.weight": torch.zeros(4, 128)})
    assert "flux.safetensors holds a LoRA without CoInteract's experts" in refusal(load_cointeract, base, other)
    incomplete = tiny.adapter()
    del incomplete["blocks.1.ffn.router.3.bias"]
    name = put("loras", "part.safetensors", incomplete)
    assert refusal(load_cointeract, base, name, error=CheckpointKeysError) == (
        "adapter part.safetensors has 1 missing tensors (cointeract.experts.1.router.3.bias), but all were expected; "
        "download it again or choose the file made for this model."
    )


@pytest.mark.usefixtures("nothing_loaded")
def test_adapter_picked_as_base(tiny, put):
    name = put("diffusion_models", "checkpoint.safetensors", tiny.adapter())
    assert "base checkpoint.safetensors holds a CoInteract adapter" in refusal(load_cointeract, name, "none")


@pytest.mark.usefixtures("nothing_loaded")
def test_incomplete_base(tiny, put):
    state = tiny.base()
    del state["casual_audio_encoder.weights"]
    name = put("diffusion_models", "part.safetensors", state)
    assert refusal(load_cointeract, name, "none", error=CheckpointKeysError) == (
        "base part.safetensors has 1 missing tensors (casual_audio_encoder.weights), but all were expected; download "
        "it again or choose the file made for this model."
    )
    del state["blocks.0.ffn.0.weight"]
    name = put("diffusion_models", "part.safetensors", state)
    assert refusal(load_cointeract, name, "none") == (
        "base part.safetensors lacks blocks.0.ffn.0.weight, but a whole Wan2.2-S2V model was expected; download "
        "it again."
    )


def test_merged_file_with_wrong_names_through_the_hosts_loader(tiny, put):
    """The host only logs such names; our class refuses them whichever loader is used."""
    from nodes import UNETLoader

    state = tiny.merged()
    state["cointeract.experts.0.hand.fc3.weight"] = torch.zeros(1)
    del state["cointeract.experts.1.face.fc1.bias"]
    name = put("diffusion_models", "m.safetensors", state)
    assert refusal(UNETLoader().load_unet, name, "default", error=CheckpointKeysError) == (
        "The model file holds 1 tensors the model does not have (cointeract.experts.0.hand.fc3.weight), but none was "
        "expected; download it again or choose the file made for this model."
    )


def test_gguf_without_its_pack(model_folder, monkeypatch):
    import folder_paths
    import nodes

    folder = model_folder("diffusion_models")
    (folder / "s2v.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "unet_gguf", ([str(folder)], {".gguf"}))
    monkeypatch.delitem(nodes.NODE_CLASS_MAPPINGS, "UnetLoaderGGUF", raising=False)
    assert "s2v.gguf" in folders.base_names()
    assert refusal(load_cointeract, "s2v.gguf", "none") == (
        "base s2v.gguf is a GGUF file, but the ComfyUI-GGUF pack that reads them is not installed; install it, or "
        "choose a safetensors base."
    )


def test_offered_names(tiny, put):
    put("diffusion_models", "a.safetensors", {"a": torch.zeros(1)})
    for index in (1, 2):
        put("diffusion_models", f"b-0000{index}-of-00002.safetensors", {"a": torch.zeros(1)})
    put("model_patches", "checkpoint.safetensors", {"a": torch.zeros(1)})
    put("loras", "lora.safetensors", {"a": torch.zeros(1)})
    assert folders.base_names() == ["a.safetensors", "b-00001-of-00002.safetensors"]
    assert folders.adapter_names() == ["none", "checkpoint.safetensors", "lora.safetensors"]


def test_node_refuses_before_it_runs_and_reports_after(tiny, put):
    from cointeract_pack.nodes.loaders import LoadCoInteractModel

    base = put("diffusion_models", "base.safetensors", tiny.base())
    adapter = put("model_patches", "checkpoint.safetensors", tiny.adapter())
    assert LoadCoInteractModel.validate_inputs(base) is True
    assert LoadCoInteractModel.validate_inputs() is True
    assert "is not in models" in LoadCoInteractModel.validate_inputs("gone.safetensors")
    before = LoadCoInteractModel.fingerprint_inputs(base=base, adapter=adapter, strength=1.0)
    assert before == LoadCoInteractModel.fingerprint_inputs(base=base, adapter=adapter, strength=1.0)
    put("model_patches", "checkpoint.safetensors", tiny.adapter(rank=8))
    assert before != LoadCoInteractModel.fingerprint_inputs(base=base, adapter=adapter, strength=1.0)
    schema = LoadCoInteractModel.GET_SCHEMA()
    assert [entry.id for entry in schema.inputs] == ["base", "adapter", "strength", "weight_dtype", "experts"]
    assert all(entry.tooltip for entry in schema.inputs)
