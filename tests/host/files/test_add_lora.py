"""LoRAs in every name form over our MODEL, and what is said of those that do not fit."""

from __future__ import annotations

import math

import pytest
import torch

from cointeract_pack.cointeract_core.errors import CheckpointKeysError, ModelFileError
from cointeract_pack.cointeract_core.host.files.add_lora import add_lora
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.nodes.lora import LoadCoInteractLora

QUERY, FFN = "blocks.0.self_attn.q", "blocks.1.ffn.0"


@pytest.fixture
def model(tiny, put, registered):
    """A model with experts."""
    base = put("diffusion_models", "base.safetensors", tiny.base(torch.float32))
    return load_cointeract(base, put("loras", "checkpoint.safetensors", tiny.adapter())).patcher


@pytest.fixture
def pairs(tiny):
    """Down and up of two layers."""
    generator = torch.Generator().manual_seed(5)
    sizes = {QUERY: (tiny.DIM, tiny.DIM), FFN: (tiny.FFN, tiny.DIM)}
    return {
        name: (torch.randn(2, into, generator=generator), torch.randn(out, 2, generator=generator))
        for name, (out, into) in sizes.items()
    }


def named(pairs, form):
    down, up = FORMS[form][1:]
    out = {}
    for name, (first, second) in pairs.items():
        layer = FORMS[form][0](name)
        out |= {layer + down: first, layer + up: second}
    return out


def official(name):
    return name.replace("ffn.0", "ffn.ffn_base.0")


FORMS = {
    "comfyui": (lambda name: f"diffusion_model.{name}", ".lora_down.weight", ".lora_up.weight"),
    "diffsynth": (lambda name: name, ".lora_A.default.weight", ".lora_B.default.weight"),
    "authors": (lambda name: f"pipe.dit.{official(name)}", ".lora_A.default.weight", ".lora_B.default.weight"),
    "peft": (lambda name: f"base_model.model.{name}", ".lora_A.weight", ".lora_B.weight"),
    "plain": (lambda name: name, ".lora_down.weight", ".lora_up.weight"),
    "kohya": (lambda name: f"lora_unet_{name.replace('.', '_')}", ".lora_down.weight", ".lora_up.weight"),
}


def changed(patcher, before):
    """What patches of the LoRA come to, by layer, apart from those of the adapter."""
    return {key: patches[len(before.patches.get(key, ())) :] for key, patches in patcher.patches.items()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_changes_the_same_layers_by_the_same(form, model, pairs, put):
    put("loras", "form.safetensors", named(pairs, form))
    patched, report = add_lora(model, "form.safetensors", 0.5)
    assert report == "2 layers changed"
    new = {key: patches for key, patches in changed(patched, model).items() if patches}
    assert set(new) == {f"diffusion_model.{QUERY}.weight", f"diffusion_model.{FFN}.weight"}
    for name, (down, up) in pairs.items():
        ((strength, adapter, *_),) = new[f"diffusion_model.{name}.weight"]
        assert strength == 0.5
        assert torch.equal(adapter.weights[0] @ adapter.weights[1], up @ down)
    assert len(model.patches[f"diffusion_model.{QUERY}.weight"]) == 1  # the model that came in is not changed


def test_differences_of_weights_and_biases_are_read_too(model, tiny, put):
    tensors = {f"{QUERY}.diff": torch.ones(tiny.DIM, tiny.DIM), f"{FFN}.diff_b": torch.ones(tiny.FFN)}
    put("loras", "diff.safetensors", tensors)
    patched, report = add_lora(model, "diff.safetensors", 1.0)
    assert report == "2 layers changed"
    assert f"diffusion_model.{FFN}.bias" in patched.patches


def test_what_does_not_match_is_named(model, pairs, put, caplog):
    more = {"blocks.77.self_attn.q.lora_A.weight": torch.zeros(2, 4), "lora_te_x.alpha": torch.zeros(())}
    put("loras", "part.safetensors", named(pairs, "diffsynth") | more)
    _, report = add_lora(model, "part.safetensors", 1.0)
    assert report == (
        "2 layers changed, 2 of 6 tensors not used, as the model has no such layers: "
        "blocks.77.self_attn.q.lora_A.weight, lora_te_x.alpha"
    )
    assert "2 of 6 tensors not used" in caplog.text


def test_the_adapter_in_the_place_of_a_lora_is_told(model):
    _, report = add_lora(model, "checkpoint.safetensors", 1.0)
    assert report.endswith("; experts come in with Load CoInteract Model")


def test_nothing_that_matches_is_an_error(model, put):
    put("loras", "other.safetensors", {"lora_unet_down_blocks_0.lora_up.weight": torch.zeros(4, 2)})
    with pytest.raises(CheckpointKeysError, match="holds 1 tensors, none of which fits this model"):
        add_lora(model, "other.safetensors", 1.0)


def test_another_shape_is_an_error(model, pairs, put):
    pairs[QUERY] = (torch.zeros(2, 64), torch.zeros(64, 2))
    put("loras", "small.safetensors", named(pairs, "diffsynth"))
    with pytest.raises(CheckpointKeysError, match=r"changes 1 layers of another shape .*blocks.0.self_attn.q.weight"):
        add_lora(model, "small.safetensors", 1.0)


def test_the_same_layer_under_two_names_is_an_error(model, pairs, put):
    again = {name: tensor.clone() for name, tensor in named(pairs, "comfyui").items()}
    put("loras", "twice.safetensors", named(pairs, "diffsynth") | again)
    with pytest.raises(CheckpointKeysError, match="under several names"):
        add_lora(model, "twice.safetensors", 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused_when_it_is_loaded(value, model, pairs, put, tiny):
    pairs[FFN][1][3, 1] = value
    put("loras", "nan.safetensors", named(pairs, "plain"))
    said = "holds values that are not numbers .* in 1 tensors"
    with pytest.raises(ModelFileError, match=said):
        add_lora(model, "nan.safetensors", 1.0)
    adapter = tiny.adapter()
    adapter["blocks.0.self_attn.q.lora_A.default.weight"][0, 0] = value
    put("loras", "broken.safetensors", adapter)
    with pytest.raises(ModelFileError, match=said):
        load_cointeract("base.safetensors", "broken.safetensors")


def test_other_models_and_files_are_refused(model, put, model_folder):
    with pytest.raises(ModelFileError, match="model is"):
        add_lora(None, "x.safetensors", 1.0)
    with pytest.raises(ModelFileError, match=r"LoRA gone.safetensors is not in models/loras"):
        add_lora(model, "gone.safetensors", 1.0)
    (model_folder("loras") / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelFileError, match="is cut off or damaged"):
        add_lora(model, "cut.safetensors", 1.0)


def test_the_node(model, pairs, put):
    put("loras", "form.safetensors", named(pairs, "diffsynth"))
    out = LoadCoInteractLora.PREPARE_CLASS_CLONE({}).execute(model, "form.safetensors", 1.0)
    assert out.result[1] == "2 layers changed"
    assert LoadCoInteractLora.fingerprint_inputs("form.safetensors") == LoadCoInteractLora.fingerprint_inputs(
        "form.safetensors", strength=2.0
    )
