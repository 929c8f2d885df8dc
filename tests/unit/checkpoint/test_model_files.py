"""Recognising files and fitting adapters, on headers of the full-size model."""

from __future__ import annotations

import json

import pytest

from cointeract_pack.cointeract_core.checkpoint.header import TensorInfo
from cointeract_pack.cointeract_core.checkpoint.identify import FileKind, identify
from cointeract_pack.cointeract_core.checkpoint.keys import lora_modules, to_official, to_ours
from cointeract_pack.cointeract_core.checkpoint.merge import (
    base_names,
    check_base,
    check_pair,
    check_tensors,
    plan_adapter,
    take,
)
from cointeract_pack.cointeract_core.errors import CheckpointKeysError, ModelFileError


def header(shapes):
    """A header of the given shapes."""
    return {name: TensorInfo(tuple(shape), "BF16") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def listed(golden_dir):
    """The reference's list of the 14B model's tensors."""
    return json.loads((golden_dir / "keys_14b.json").read_text(encoding="utf-8"))


@pytest.fixture
def base(listed):
    """Header of the 14B base."""
    return header(listed["keys_backbone"])


@pytest.fixture
def expected(listed):
    """Our names and shapes of the whole 14B model."""
    groups = ("keys_backbone", "keys_added_by_moe", "keys_added_by_hoi")
    return {to_ours(name): tuple(shape) for group in groups for name, shape in listed[group].items()}


def make_adapter(listed, rank=128, hoi=False):
    """Header of an adapter as the authors' trainer writes it."""
    backbone = listed["keys_backbone"]
    shapes = dict(listed["keys_added_by_moe"])
    for module in lora_modules(backbone):
        out, into = backbone[f"{module}.weight"]
        official = to_official(f"{module}.")
        shapes[f"{official}lora_A.default.weight"] = (rank, into)
        shapes[f"{official}lora_B.default.weight"] = (out, rank)
    if hoi:
        shapes |= listed["keys_added_by_hoi"]
    return header(shapes)


@pytest.fixture
def adapter(listed):
    """Header of the 14B adapter."""
    return make_adapter(listed)


def refusal(function, *arguments, error=ModelFileError):
    """What a refused file says."""
    with pytest.raises(error) as caught:
        function(*arguments)
    return str(caught.value)


def test_published_files_are_recognised(listed, base, adapter):
    found = identify(base)
    assert (found.kind, found.dim, found.layers, found.expert_hidden) == (FileKind.BASE, 5120, 40, 0)
    found = identify(adapter)
    assert (found.kind, found.dim, found.layers, found.rank) == (FileKind.ADAPTER, 5120, 40, 128)
    assert (found.expert_hidden, found.hoi) == (256, False)
    assert identify(make_adapter(listed, hoi=True)).hoi
    merged = base | header({to_ours(name): shape for name, shape in listed["keys_added_by_moe"].items()})
    found = identify(merged)
    assert (found.kind, found.expert_hidden) == (FileKind.MERGED, 256)


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model."])
def test_prefixed_base(base, prefix):
    prefixed = {prefix + name: info for name, info in base.items()}
    assert identify(prefixed).kind is FileKind.BASE
    assert set(base_names(prefixed).values()) == base.keys()


def test_what_comes_beside_the_transformer_is_left_out(base):
    whole = {f"model.diffusion_model.{name}": info for name, info in base.items()} | header({"vae.conv1.weight": (1,)})
    assert set(base_names(whole).values()) == base.keys()


WAN = {"head.modulation": (1, 2, 5120), "patch_embedding.weight": (5120, 16, 1, 2, 2)}


@pytest.mark.parametrize(
    ("shapes", "label"),
    [
        (WAN, "the Wan text-to-video (T2V) model"),
        (WAN | {"patch_embedding.weight": (5120, 36, 1, 2, 2)}, "the Wan image-to-video (I2V) model"),
        (WAN | {"img_emb.proj.0.bias": (1,)}, "the Wan image-to-video (I2V) model"),
        (WAN | {"patch_embedding.weight": (3072, 48, 1, 2, 2)}, "the Wan TI2V-5B model"),
        (
            WAN | {"face_adapter.fuser_blocks.0.k_norm.weight": (1,), "img_emb.proj.0.bias": (1,)},
            "the Wan Animate model",
        ),
        (WAN | {"vace_patch_embedding.weight": (1,)}, "the Wan VACE model"),
        (WAN | {"audio_proj.audio_proj_glob_1.layer.bias": (1,)}, "the Wan HuMo model"),
        (WAN | {"audio_proj.proj1.weight": (1,), "img_emb.proj.0.bias": (1,)}, "the Wan MultiTalk/InfiniteTalk model"),
        (WAN | {"patch_embedding.weight": (5120, 77, 1, 2, 2)}, "another Wan model"),
        ({"decoder.middle.0.residual.0.gamma": (384, 1, 1, 1)}, "a VAE"),
        ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}, "a text encoder"),
        ({"wav2vec2.feature_extractor.conv_layers.0.conv.weight": (512, 1, 10)}, "an audio encoder"),
        ({"x_embedder.proj.weight": (1,)}, "no model this pack knows"),
        ({}, "no model this pack knows"),
    ],
)
def test_other_models_are_named(shapes, label):
    found = identify(header(shapes))
    assert found.label == label
    assert refusal(check_base, "base x.safetensors", found) == (
        f"base x.safetensors holds {label}, but CoInteract runs on Wan2.2-S2V-14B; choose "
        "wan2.2_s2v_14B_bf16.safetensors, its fp8_scaled version, the published shards or a GGUF as base."
    )


def test_adapter_picked_as_base(adapter):
    assert refusal(check_base, "base checkpoint.safetensors", identify(adapter)) == (
        "base checkpoint.safetensors holds a CoInteract adapter, but CoInteract runs on Wan2.2-S2V-14B; choose it as "
        "adapter and choose wan2.2_s2v_14B_bf16.safetensors, its fp8_scaled version, the published shards or a GGUF as "
        "base."
    )


def test_base_picked_as_adapter(base):
    assert refusal(check_pair, "adapter s2v.safetensors", identify(base), identify(base)) == (
        "adapter s2v.safetensors holds a Wan2.2-S2V model, but a CoInteract adapter was expected; choose "
        "checkpoint.safetensors, checkpoint_pose.safetensors or one saved by this pack."
    )


def test_adapter_of_another_width(base):
    narrow = header({"blocks.0.ffn.router.0.weight": (768, 1536), "blocks.0.self_attn.q.lora_A.weight": (4, 1536)})
    assert refusal(check_pair, "adapter a.safetensors", identify(base), identify(narrow)) == (
        "adapter a.safetensors is for a model of width 1536, but the base is 5120 wide; choose the adapter made for "
        "this base."
    )


def test_adapter_of_another_depth(base):
    short = header({f"blocks.{n}.ffn.router.0.weight": (2560, 5120) for n in range(30)})
    assert refusal(check_pair, "adapter a.safetensors", identify(base), identify(short)) == (
        "adapter a.safetensors has experts for 30 blocks, but the base has 40; choose the adapter made for this base."
    )


def test_adapter_over_a_merged_base(listed, base, adapter):
    merged = identify(base | header({to_ours(name): shape for name, shape in listed["keys_added_by_moe"].items()}))
    assert "the base already has an adapter merged in" in refusal(check_pair, "adapter", merged, identify(adapter))


def test_lora_of_another_model(base):
    lora = identify(header({"diffusion_model.blocks.0.self_attn.q.lora_down.weight": (64, 5120)}))
    assert refusal(check_pair, "adapter lightx2v.safetensors", identify(base), lora) == (
        "adapter lightx2v.safetensors holds a LoRA without CoInteract's experts, but an adapter with both was "
        "expected; choose checkpoint.safetensors here and add the LoRA with Load CoInteract LoRA."
    )


@pytest.mark.parametrize("rank", [1, 32, 128])
def test_every_tensor_of_an_adapter_finds_its_place(listed, expected, rank):
    plan = plan_adapter("adapter", make_adapter(listed, rank), expected)
    assert plan.report.sentence() == "896 LoRA tensors, 560 expert tensors, 0 unknown"
    assert plan.rank == rank
    assert "diffusion_model.blocks.39.ffn.2.lora_B.weight" in plan.lora.values()
    plan = plan_adapter("adapter", make_adapter(listed, rank, hoi=True), expected)
    assert plan.report.sentence() == (
        "896 LoRA tensors, 560 expert tensors, 0 unknown, 46 of the HOI stream left out (training only)"
    )


def test_unknown_tensors_are_counted_and_five_named(adapter, expected):
    adapter |= header({f"blocks.{n}.cross_attn.k_img.lora_A.weight": (4, 5120) for n in range(8)})
    names = ", ".join(f"blocks.{n}.cross_attn.k_img.lora_A.weight" for n in range(5))
    assert refusal(plan_adapter, "adapter a.safetensors", adapter, expected, error=CheckpointKeysError) == (
        f"adapter a.safetensors holds 8 tensors the model does not have ({names} and 3 more), but none was expected; "
        "download it again or choose the file made for this model."
    )


def test_plain_weights_do_not_belong_into_an_adapter(adapter, expected):
    adapter |= header({"head.modulation": (1, 2, 5120)})
    assert "1 tensors the model does not have (head.modulation)" in refusal(plan_adapter, "a", adapter, expected)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("blocks.3.ffn.hand_expert.fc1.bias", r"a has 1 missing tensors (cointeract.experts.3.hand.fc1.bias), but all"),
        (
            "blocks.3.self_attn.q.lora_B.default.weight",
            "a has 1 missing tensors (diffusion_model.blocks.3.self_attn.q.lora_B.weight), but each LoRA layer needs",
        ),
    ],
)
def test_missing_tensors_are_named(adapter, expected, gone, message):
    del adapter[gone]
    assert message in refusal(plan_adapter, "a", adapter, expected, error=CheckpointKeysError)


def test_other_shapes_are_named(adapter, expected):
    adapter["blocks.3.ffn.hand_expert.fc1.bias"] = TensorInfo((128,))
    assert refusal(plan_adapter, "adapter a", adapter, expected, error=CheckpointKeysError) == (
        "adapter a holds 1 tensors of another shape (cointeract.experts.3.hand.fc1.bias): "
        "cointeract.experts.3.hand.fc1.bias is (128,), but (256,) was expected; choose the file made for this model."
    )


@pytest.mark.parametrize("name", ["blocks.0.ffn.ffn_base.0.lora_A.default.weight", "blocks.0.self_attn.q.alpha"])
def test_lora_of_another_shape(adapter, expected, name):
    adapter[name] = TensorInfo((128, 77))
    assert "holds 1 tensors of another shape (blocks.0." in refusal(plan_adapter, "a", adapter, expected)


def test_a_lora_part_under_two_names(adapter, expected):
    adapter["diffusion_model.blocks.0.self_attn.q.lora_down.weight"] = TensorInfo((128, 5120))
    assert "under several names" in refusal(plan_adapter, "a", adapter, expected, error=CheckpointKeysError)


def test_scales_beside_layers_belong_to_the_file_format(base, expected):
    shapes = {name: shape for name, shape in expected.items() if not name.startswith("cointeract.")}
    base |= header({"scaled_fp8": (2,), "blocks.0.ffn.0.scale_weight": (), "blocks.0.ffn.0.comfy_quant": (64,)})
    check_tensors("base", base, shapes)
    base["blocks.0.ffn.0.weight"] = TensorInfo((13824, 2560))  # two numbers in each byte
    check_tensors("base", base, shapes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.40.ffn.0.weight": (1,)}, "base holds 1 tensors the model does not have (blocks.40.ffn.0.weight)"),
        ({"blocks.0.self_attn.q.lora_A.weight": (1,)}, "base holds 1 tensors the model does not have"),
        ({"cointeract.experts.0.hand.fc1.scale_weight": ()}, "base holds 1 tensors the model does not have"),
        ({"blocks.0.ffn.0.bias": (7,)}, "blocks.0.ffn.0.bias is (7,), but (13824,) was expected"),
    ],
)
def test_base_with_other_tensors(base, expected, change, message):
    shapes = {name: shape for name, shape in expected.items() if not name.startswith("cointeract.")}
    assert message in refusal(check_tensors, "base", base | header(change), shapes, error=CheckpointKeysError)


def test_incomplete_base(base, expected):
    shapes = {name: shape for name, shape in expected.items() if not name.startswith("cointeract.")}
    for number in range(7):
        del base[f"blocks.{number}.modulation"]
    names = ", ".join(f"blocks.{n}.modulation" for n in range(5))
    assert refusal(check_tensors, "base b", base, shapes, error=CheckpointKeysError) == (
        f"base b has 7 missing tensors ({names} and 2 more), but all were expected; download it again or choose the "
        "file made for this model."
    )


def test_take_renames():
    assert take({"a": 1, "b": 2}, {"a": "x"}) == {"x": 1}
