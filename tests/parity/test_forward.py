"""Forwards, positions, the VAE and a training step against the reference's numbers, check by check."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cointeract_pack.cointeract_core.verify.recordings.dit import (
    check_cogen,
    check_dit,
    check_positions,
    check_product_scale,
)
from cointeract_pack.cointeract_core.verify.recordings.golden import Golden, read_golden, worst
from cointeract_pack.cointeract_core.verify.recordings.runs import read_words
from cointeract_pack.cointeract_core.verify.recordings.training import check_training
from cointeract_pack.cointeract_core.verify.recordings.vae import check_vae

FILES = {
    "dit/dit_base.safetensors": (check_dit, 19),
    "dit/dit_moe.safetensors": (check_dit, 25),
    "dit/dit_product_scale.safetensors": (check_product_scale, 31),
    "dit/dit_cogen_asym.safetensors": (check_cogen, 31),
    "dit/dit_cogen_mutual.safetensors": (check_cogen, 29),
    "rope_positions.json": (check_positions, 88),
    "training_step.safetensors": (check_training, 242),
    "vae_tiny.safetensors": (check_vae, 9),
}
# one tensor of each kind: a run, its logits, a tensor on the way, the HOI stream, a gradient
CHANGED = [
    ("dit/dit_base.safetensors", "out.pred_audio_zero"),
    ("dit/dit_base.safetensors", "mid.audio_local"),
    ("dit/dit_moe.safetensors", "out.router_logits_t500_uncond"),
    ("dit/dit_moe.safetensors", "mid.block4.in"),
    ("dit/dit_cogen_asym.safetensors", "out.hoi_noproduct"),
    ("dit/dit_cogen_asym.safetensors", "mid.hoi_head.in"),
    ("training_step.safetensors", "out.hoi_asym_id500.grad.depth_cond_mask.weight"),
    ("training_step.safetensors", "out.diffusion_only_id900.loss_terms"),
    ("vae_tiny.safetensors", "out.decoded2"),
]


@pytest.mark.parametrize("file", FILES)
def test_file(file, golden_dir):
    check, fewest = FILES[file]
    checks = list(check(read_golden(golden_dir / file)))
    assert len(checks) >= fewest
    assert [check for check in checks if not check.ok] == []


@pytest.mark.parametrize(("file", "name"), CHANGED, ids=[f"{file}: {name}" for file, name in CHANGED])
def test_a_wrong_number_is_seen(file, name, golden_dir):
    golden = read_golden(golden_dir / file)
    changed = golden[name].clone()
    changed.view(-1)[0] += 1e-4
    low = worst(list(FILES[file][0](dataclasses.replace(golden, tensors=golden.tensors | {name: changed}))))
    assert not low.ok


def test_an_output_nothing_compares_is_seen(golden_dir):
    golden = read_golden(golden_dir / "dit/dit_base.safetensors")
    more = dataclasses.replace(golden, tensors=golden.tensors | {"out.else": torch.zeros(1)})
    assert worst(list(check_dit(more))).name == "outputs nothing compares: out.else"


def test_an_unknown_run_is_refused():
    with pytest.raises(ValueError, match="'_t500_sideways' has a word this program does not know"):
        read_words("_t500_sideways")
    assert read_words("_scale0.7_motion5") == {"scale": "0.7", "motion": "5"}
    assert read_words("") == {}


def test_a_wrong_row_is_seen(golden_dir):
    golden: Golden = read_golden(golden_dir / "rope_positions.json")
    golden.info["sizes"]["96x80"]["hoi"]["w"][0] += 1
    assert [check.name for check in check_positions(golden) if not check.ok] == ["96x80: hoi"]
