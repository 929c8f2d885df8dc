"""From the cells' numbers to means, paired differences, the page and its plots."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cointeract_pack.toy.benchmark import __main__ as command
from cointeract_pack.toy.benchmark.cells import CELLS
from cointeract_pack.toy.benchmark.claims import CLAIMS
from cointeract_pack.toy.benchmark.page.plots import draw_cells, draw_claims
from cointeract_pack.toy.benchmark.page.report import BEGIN, END, write_report
from cointeract_pack.toy.benchmark.page.results import Results, read_results
from cointeract_pack.toy.benchmark.page.statistics import interval, mean_of, paired
from cointeract_pack.toy.benchmark.run import finished, result_path
from cointeract_pack.toy.metrics.table import NAMES

SCENES = [str(1_000_000 + number) for number in range(6)]
FORMS = ("loaded", "asymmetric", "mutual")
GAIN = {"experts": 0.02, "hoi_asymmetric": 0.05}  # how much less of everything these cells have


def written(cell: str, seed: int, **more: object) -> dict[str, object]:
    """A cell's numbers: noise of the scene that all cells share, and a gain."""
    chance = np.random.Generator(np.random.PCG64(seed))
    level = {scene: float(chance.normal(0.5, 0.2)) for scene in SCENES}
    own = np.random.Generator(np.random.PCG64([seed, list(CELLS).index(cell)]))
    scenes = {
        scene: dict.fromkeys(NAMES, level[scene] - GAIN.get(cell, 0.0) + float(own.normal(0, 0.001)))
        for scene in SCENES
    }
    scenes[SCENES[0]]["contact"] = None  # nothing could be measured
    rows = {"flow": 0.2, "hand_accuracy": None, "face_accuracy": None}
    if CELLS[cell].experts:
        rows |= {"hand_accuracy": 0.97, "face_accuracy": 0.99}
    return {
        "cell": cell, "seed": seed, "steps": CELLS[cell].steps(100), "base": "b.safetensors", "parameters": 3_000_000,
        "training": {"seconds": 0.7}, "scenes": {"test": scenes, "unseen": scenes},
        "rows": {"test": rows, "unseen": rows}, "sampling": {"steps": 20}, "version": 1, **more,
    }  # fmt: skip


def write(folder, cells=CELLS, seeds=3):
    folder.mkdir(exist_ok=True)
    for cell in cells:
        for seed in range(seeds):
            result_path(folder, cell, seed).write_text(json.dumps(written(cell, seed)), encoding="utf-8")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "proof.md"
    path.write_text(f"# Proof\n\n{BEGIN}\n\nold\n\n{END}\n\nthe end\n", encoding="utf-8")
    return path


def test_interval_of_three_seeds():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.303 / math.sqrt(3))  # standard deviation 1, two degrees of freedom
    assert (found.low, found.high) == (found.mean - found.half, found.mean + found.half)


def test_interval_of_one_and_of_none():
    assert math.isinf(interval([1.0]).half)
    assert interval([math.nan]) is None
    assert interval([math.nan, 2.0]).values == (2.0,)


def test_too_many_seeds_are_refused():
    with pytest.raises(ValueError, match="17 seeds"):
        interval([float(n) for n in range(17)])


def test_pairs_are_scenes_that_both_have():
    assert paired({"a": 1.0, "b": None, "c": 4.0}, {"a": 2.0, "b": 9.0, "c": 1.0}) == 1.0
    assert math.isnan(paired({"a": None}, {"a": 1.0}))
    assert mean_of({"a": None, "b": 3.0}) == 3.0


def test_differences_are_paired(tmp_path):
    write(tmp_path)
    results = read_results(tmp_path)
    difference = results.difference(CLAIMS[0], "dense")
    assert difference.shared == (0, 1, 2)
    assert difference.found.mean == pytest.approx(-GAIN["experts"], abs=0.002)
    assert difference.verdict == "supported"
    # the seeds lie apart by more than the gain, which pairing takes away
    assert results.of_scenes("experts", "hands").half > GAIN["experts"] > difference.found.half


def test_cells_that_are_missing(tmp_path):
    write(tmp_path, ["experts"], seeds=1)
    results = read_results(tmp_path)
    assert results.difference(CLAIMS[0], "dense").found is None
    assert results.difference(CLAIMS[0], "dense").verdict is None
    assert results.of_rows("experts", "hand_accuracy").mean == 0.97
    assert results.seeds["dense"] == 0


def test_cells_run_in_different_ways_are_refused(tmp_path):
    write(tmp_path, ["experts", "dense"], seeds=1)
    result_path(tmp_path, "dense", 1).write_text(json.dumps(written("dense", 1, steps=7)), encoding="utf-8")
    with pytest.raises(ValueError, match=r"dense_1\.json.*run in different ways.*7 steps"):
        read_results(tmp_path)


def test_the_page_is_written(tmp_path, page):
    write(tmp_path / "proof")
    body = write_report(tmp_path / "proof", page)
    text = page.read_text(encoding="utf-8")
    assert body.strip() in text
    assert "old" not in text
    assert text.endswith(f"{END}\n\nthe end\n")
    assert "| **hoi** | contact | all of them |  |  | **supported** |" in text
    assert "Router on held-out rows: 0.970 of hand and 0.990 of face tokens; 0.95 reached." in text
    for name in ("proof_cells.png", "proof_claims.png"):
        assert f"images/{name}" in text
        assert (tmp_path / "images" / name).stat().st_size > 1000
    write_report(tmp_path / "proof", page)
    assert page.read_text(encoding="utf-8") == text


def test_nothing_was_run(tmp_path, page):
    (tmp_path / "proof").mkdir()
    assert write_report(tmp_path / "proof", page) == "**Not run yet.**\n"


def test_a_page_without_a_place_is_refused(tmp_path, page):
    page.write_text("# Proof\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"proof\.md has no lines"):
        write_report(tmp_path, page)


def test_overhead_stands_on_the_page(tmp_path, page):
    found = {
        "model": "m", "rounds": 3, "joint_loop": 1.0,
        "largest_difference": {"loaded": 0.0, "asymmetric": 0.0, "mutual": 0.25},
        "bit_equal": {"loaded": True, "asymmetric": True, "mutual": False},
        "milliseconds": dict.fromkeys(FORMS, 10.0),
        "time_ratio": {name: {"median": 1.0, "low": 0.9, "high": 1.1} for name in FORMS},
    }  # fmt: skip
    (tmp_path / "overhead.json").write_text(json.dumps(found), encoding="utf-8")
    body = write_report(tmp_path, page)
    assert "| loaded | 0 | yes | 10.0 | 1.000 (0.900 to 1.100) |" in body
    assert "| mutual | 0.25 | no |" in body
    assert body.endswith("**supported**\n")


def test_plots_of_nothing_and_of_one_seed(tmp_path):
    assert draw_cells(Results({})).width == draw_claims(Results({})).width
    write(tmp_path, ["experts"], seeds=1)
    assert draw_cells(read_results(tmp_path)).height > 100


def test_a_finished_training_is_known(tmp_path):
    config, model = tmp_path / "run.toml", tmp_path / "model.safetensors"
    assert not finished(model, config, "a")
    config.write_text("a", encoding="utf-8")
    model.write_bytes(b"x")
    import os

    os.utime(config, (1, 1))
    assert finished(model, config, "a")
    assert not finished(model, config, "b")
    os.utime(model, (0, 0))
    assert not finished(model, config, "a")


def test_a_work_folder_without_data_is_told(tmp_path, capsys):
    assert command.main(["experts", "--work", str(tmp_path)]) == 1
    assert "run python -m toy.recipe" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["wrong", "--work", "w"], ["experts"]])
def test_what_is_no_command_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        command.main(words)
    assert "usage" in capsys.readouterr().err


def test_the_grid_passes_over_what_is_written_and_stops_at_a_failure(tmp_path, monkeypatch, capsys):
    write(tmp_path / "proof", [name for name in CELLS if name != "dense"], seeds=2)
    asked = []

    class Done:
        returncode = 3

    monkeypatch.setattr(command.subprocess, "run", lambda words, **_: asked.append(words) or Done())
    assert command.main(["grid", "--work", str(tmp_path), "--seeds", "2", "--steps", "9"]) == 3
    assert len(asked) == 1
    assert asked[0][3:6] == ["dense", "--seed", "0"]
    assert asked[0][asked[0].index("--steps") + 1] == "9"
    assert "goes on from there" in capsys.readouterr().err
