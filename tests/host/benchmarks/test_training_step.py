"""The parts of a training step are all there, and add up."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def report(run_benchmark):
    done = run_benchmark("training_step.py", "--json", "--steps", "6", "--batch", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_every_part_of_a_step_is_timed(report):
    assert list(report["cases"]) == ["plain, batch 1", "experts, HOI, batch 1"]
    for parts in report["cases"].values():
        assert list(parts) == ["total", "forward", "backward", "reading", "clip", "optimiser", "average", "rest"]
        assert all(milliseconds > 0 for milliseconds in parts.values())
        assert parts["forward"] + parts["backward"] < parts["total"]
