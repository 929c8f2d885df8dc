"""Names of tensors, in every form and both ways, on the 14B model's own list."""

from __future__ import annotations

import json

import pytest

from cointeract_pack.cointeract_core.checkpoint.keys import (
    PREFIXES,
    lora_modules,
    lora_to_official,
    parse_lora,
    rename_all,
    strip_prefix,
    to_official,
    to_ours,
)
from cointeract_pack.cointeract_core.errors import CheckpointKeysError


@pytest.fixture(scope="module")
def listed(golden_dir):
    """The reference's list of the 14B model's tensors."""
    return json.loads((golden_dir / "keys_14b.json").read_text(encoding="utf-8"))


def test_extras_come_back(listed):
    for name in [*listed["keys_added_by_moe"], *listed["keys_added_by_hoi"]]:
        ours = to_ours(name)
        assert ours.startswith("cointeract.")
        assert "depth" not in ours
        assert to_official(ours) == name
        assert to_ours(ours) == ours


def test_backbone_comes_back_with_and_without_experts(listed):
    for name in listed["keys_backbone"]:
        assert to_ours(name) == name
        assert to_official(name, experts=False) == name
        assert to_ours(to_official(name)) == name
    renamed = [name for name in listed["keys_backbone"] if to_official(name) != name]
    assert len(renamed) == 40 * 4


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        ("blocks.7.ffn.ffn_base.0.weight", "blocks.7.ffn.0.weight"),
        ("blocks.17.ffn.ffn_base.2.bias", "blocks.17.ffn.2.bias"),
        ("blocks.3.ffn.router.2.weight", "cointeract.experts.3.router.2.weight"),
        ("blocks.3.ffn.hand_expert.fc1.bias", "cointeract.experts.3.hand.fc1.bias"),
        ("blocks.39.ffn.face_expert.fc2.weight", "cointeract.experts.39.face.fc2.weight"),
        ("blocks.12.depth_modulation", "cointeract.hoi.modulation.12"),
        ("depth_patch_embedding.weight", "cointeract.hoi.patch_embedding.weight"),
        ("depth_head.head.bias", "cointeract.hoi.head.head.bias"),
        ("depth_cond_mask.weight", "cointeract.hoi.type_embedding.weight"),
    ],
)
@pytest.mark.parametrize("prefix", ["", *PREFIXES, "base_model.model.diffusion_model."])
def test_map(official, ours, prefix):
    assert to_ours(prefix + official) == ours
    assert to_ours(prefix + ours) == ours
    assert to_official(ours) == official


@pytest.mark.parametrize("name", ["blocks.1.ffn.norm.weight", "blocks.x.depth_modulation", "blocks.1.depth_mod"])
def test_unknown_names_stay_as_they_are(name):
    assert to_ours(name) == name


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize(
    ("ending", "part", "host"),
    [
        (".lora_A.default.weight", "down", ".lora_A.weight"),
        (".lora_B.default.weight", "up", ".lora_B.weight"),
        (".lora_A.weight", "down", ".lora_A.weight"),
        (".lora_B.weight", "up", ".lora_B.weight"),
        (".lora_down.weight", "down", ".lora_A.weight"),
        (".lora_up.weight", "up", ".lora_B.weight"),
        (".alpha", "alpha", ".alpha"),
    ],
)
def test_lora_forms(prefix, ending, part, host):
    for module, ours in [
        ("blocks.2.ffn.ffn_base.0", "blocks.2.ffn.0"),
        ("audio_injector.injector.11.q", "audio_injector.injector.11.q"),
        ("blocks.2.ffn.hand_expert.fc1", "cointeract.experts.2.hand.fc1"),
    ]:
        lora = parse_lora(prefix + module + ending)
        assert (lora.module, lora.part) == (ours, part)
        assert lora.host == f"diffusion_model.{ours}{host}"
        official = lora_to_official(lora.host)
        assert official == module + (".alpha" if part == "alpha" else host.replace(".weight", ".default.weight"))
        assert parse_lora(official) == lora


def test_only_lora_tensors_are_taken_for_lora():
    assert parse_lora("blocks.0.self_attn.q.weight") is None
    assert parse_lora("blocks.0.self_attn.q.diff") is None


def test_lora_layers_are_those_of_the_authors(listed):
    assert len(lora_modules(listed["keys_backbone"])) == listed["lora_modules_count"] == 448


def test_the_same_tensor_under_two_names_is_refused():
    with pytest.raises(CheckpointKeysError, match=r"under several names \(pipe\.dit\.head\.modulation\)"):
        rename_all(["head.modulation", "pipe.dit.head.modulation", "head.head.weight"])


def test_prefixes_are_only_taken_from_the_front():
    assert strip_prefix("a.diffusion_model.b") == "a.diffusion_model.b"
    assert strip_prefix("model.diffusion_model.b") == "b"
