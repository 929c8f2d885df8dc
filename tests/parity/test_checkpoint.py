"""Names, parameter counts and LoRA merging against the reference's own, check by check."""

from __future__ import annotations

import dataclasses

import pytest

from cointeract_pack.cointeract_core.verify.recordings.golden import Check, read_golden, worst
from cointeract_pack.cointeract_core.verify.recordings.keys import check_keys
from cointeract_pack.cointeract_core.verify.recordings.lora import check_lora

FILES = {"keys_14b.json": check_keys, "lora.safetensors": check_lora}
FEWEST = {"keys_14b.json": 17, "lora.safetensors": 57}


@pytest.mark.parametrize("file", FILES)
def test_file(file, golden_dir):
    checks: list[Check] = list(FILES[file](read_golden(golden_dir / file)))
    assert len(checks) >= FEWEST[file]
    assert [check for check in checks if not check.ok] == []


def test_a_wrong_merge_is_seen(golden_dir):
    golden = read_golden(golden_dir / "lora.safetensors")
    name = "out.alpha0.8.blocks.0.self_attn.q.weight"
    changed = dataclasses.replace(golden, tensors=golden.tensors | {name: golden[name] + 1e-5})
    assert "0.8: blocks.0.self_attn.q.weight" in worst(list(check_lora(changed))).name


@pytest.mark.parametrize("change", ["count", "shape", "name"])
def test_a_wrong_list_is_seen(change, golden_dir):
    golden = read_golden(golden_dir / "keys_14b.json")
    info = {
        **golden.info,
        "counts": dict(golden.info["counts"]),
        "keys_added_by_moe": {**golden.info["keys_added_by_moe"]},
    }
    if change == "count":
        info["counts"]["routers"] += 1
    elif change == "shape":
        info["keys_added_by_moe"]["blocks.0.ffn.router.0.weight"] = [2561, 5120]
    else:
        info["keys_added_by_moe"]["blocks.0.ffn.router.9.weight"] = [1]
    assert not worst(list(check_keys(dataclasses.replace(golden, info=info)))).ok
