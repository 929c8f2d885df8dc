"""Preprocessing, speech features, schedule and token masks against the reference's numbers, check by check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from cointeract_pack.cointeract_core.verify.recordings.audio import check_audio
from cointeract_pack.cointeract_core.verify.recordings.dit import on_the_way
from cointeract_pack.cointeract_core.verify.recordings.golden import (
    FLOAT_TOLERANCE,
    Check,
    Golden,
    compare,
    read_golden,
    worst,
)
from cointeract_pack.cointeract_core.verify.recordings.preprocess import check_preprocess
from cointeract_pack.cointeract_core.verify.recordings.schedule import check_schedule
from cointeract_pack.cointeract_core.verify.recordings.token_masks import check_masks

GOLDEN = Path(__file__).parent / "golden"
FILES: dict[str, Callable[[Golden], Iterator[Check]]] = {
    "audio_buckets.safetensors": check_audio,
    "preprocess.safetensors": check_preprocess,
    "router_masks.safetensors": check_masks,
    "schedule.json": check_schedule,
}
FEWEST = {"audio_buckets": 60, "preprocess": 46, "router_masks": 75, "schedule": 51}
CHECKS = [(file, check) for file, handler in FILES.items() for check in handler(read_golden(GOLDEN / file))]


@pytest.mark.parametrize(("file", "check"), CHECKS, ids=[f"{file}: {check.name}" for file, check in CHECKS])
def test_number(file, check):
    assert check.ok, f"{check.name} is off by {check.error:.2e}, allowed are {check.tolerance:.0e}"


@pytest.mark.parametrize("stem", FEWEST)
def test_nothing_was_left_out(stem):
    assert sum(Path(file).stem == stem for file, _ in CHECKS) >= FEWEST[stem]


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith(".safetensors")])
def test_every_number_of_a_file_is_looked_at(file):
    """Change any one expected tensor, and the verification fails."""
    golden = read_golden(GOLDEN / file)
    for name, tensor in golden.group("out.").items():
        changed = tensor.clone()
        changed.view(-1)[-1] += 1
        other = Golden(golden.path, golden.info, {**golden.tensors, f"out.{name}": changed})
        low = worst(list(FILES[file](other)))
        assert low is not None
        assert not low.ok, f"out.{name} is not compared"


def test_a_wrong_schedule_is_noticed():
    golden = read_golden(GOLDEN / "schedule.json")
    golden.info["inference"]["steps40_shift7.0"]["sigmas"][-1] += 1e-6
    failed = [check.name for check in check_schedule(golden) if not check.ok]
    assert failed == ["steps40_shift7.0: sigmas"]


def test_pictures_are_equal_bit_by_bit():
    golden = read_golden(GOLDEN / "preprocess.safetensors")
    exact = [check for check in check_preprocess(golden) if not check.name.startswith("preprocess_image")]
    assert {check.error for check in exact} == {0.0}


def test_tensors_on_the_way_are_judged_by_their_size():
    hidden = torch.full((4,), 10.0)
    assert on_the_way("hidden", hidden + 6e-6, hidden, FLOAT_TOLERANCE).ok
    assert not on_the_way("hidden", hidden + 6e-5, hidden, FLOAT_TOLERANCE).ok
    assert not on_the_way("small", hidden / 100 + 6e-6, hidden / 100, FLOAT_TOLERANCE).ok
    assert not compare("an output", hidden + 6e-6, hidden).ok
