"""Cells of the grid differ from their neighbours in what is tested, and in nothing else."""

from __future__ import annotations

import csv
from collections import Counter

import pytest
import torch

from cointeract_pack.cointeract_core.training.settings.toml import load_settings
from cointeract_pack.toy.benchmark.cells import CELLS, HOI_COMPUTE, as_toml, settings
from cointeract_pack.toy.benchmark.claims import BESIDE, CLAIMS, joint_verdict, verdict
from cointeract_pack.toy.benchmark.dense import expert_parameters, more_units, widened
from cointeract_pack.toy.benchmark.placebo import COLUMN, other_rows, write_placebo
from cointeract_pack.toy.metrics.table import NAMES

DIM, FFN = 16, 24
STEPS = 200
# what each cell's settings have other than its neighbour's; the name of its run and what is kept of it aside
DIFFERENT = {
    "dense": {"model.base"},
    "experts_unsupervised": {"lora.experts"},
    "experts": {"loss.router"},
    "hoi_asymmetric": {"hoi.mode"},
    "hoi_mutual": {"hoi.mode"},
    "hoi_mutual_kept": set(),  # only sampled in another way
    "experts_more_steps": {"run.steps", "optimizer.warmup"},
    "hoi_placebo": {"data.table"},
}
ASIDE = {"run.name", "run.keep_hoi"}


def flat(name: str, seed: int = 0) -> dict[str, object]:
    sections = settings(CELLS[name], seed, STEPS)
    return {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}


@pytest.mark.parametrize("name", [name for name in CELLS if name != "no_experts"])
def test_a_cell_differs_from_its_neighbour_in_one_thing(name):
    own, other = flat(name), flat(CELLS[name].neighbour)
    assert own.keys() == other.keys()
    assert {key for key in own if own[key] != other[key]} - ASIDE == DIFFERENT[name]


def test_all_cells_of_a_seed_draw_alike():
    for key in ("run.seed", "optimizer.batch_size", "optimizer.learning_rate", "sampling.shift", "data.latents"):
        assert len({flat(name, 2)[key] for name in CELLS}) == 1
    assert flat("experts", 1)["run.seed"] == 1


@pytest.mark.parametrize("name", CELLS)
def test_the_trainer_takes_the_settings(tmp_path, name):
    path = tmp_path / "cell.toml"
    path.write_text(as_toml(settings(CELLS[name], 3, STEPS)), encoding="utf-8")
    found = load_settings(path)
    assert found.model.whole
    assert (found.run.seed, found.hoi.mode, found.loss.router) == (3, CELLS[name].hoi, CELLS[name].router)
    assert found.run.name.endswith("_3")


def test_a_kept_stream_shares_the_training_of_the_removed_one():
    assert settings(CELLS["hoi_mutual_kept"], 0) == settings(CELLS["hoi_mutual"], 0)


def test_more_steps_take_the_computing_of_the_stream():
    assert flat("experts_more_steps")["run.steps"] == round(STEPS * HOI_COMPUTE)


def test_one_step_is_enough_for_settings(tmp_path):
    path = tmp_path / "cell.toml"
    path.write_text(as_toml(settings(CELLS["experts"], 0, 1)), encoding="utf-8")
    assert load_settings(path).run.steps == 1


def test_claims_name_cells_and_measures():
    for claim in CLAIMS:
        assert {claim.cell, *claim.against} <= CELLS.keys()
        assert claim.metric in NAMES
        assert claim.metric not in BESIDE
    assert set(BESIDE) <= set(NAMES)


def test_the_page_says_what_the_code_has_decided(repo):
    page = (repo / "docs" / "proof.md").read_text(encoding="utf-8")
    decided = page.split("## What was decided before the runs")[1].split("\n## ")[0]
    for claim in CLAIMS:
        for word in (claim.metric, claim.cell, *claim.against):
            assert f"`{word}`" in decided
    assert [name for name in CELLS if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("low", "high", "said"), [(-2, -1, "supported"), (1, 2, "contradicted"), (-1, 1, "not shown"), (-1, 0, "not shown")]
)
def test_the_rule(low, high, said):
    assert verdict(low, high) == said


def test_a_claim_holds_against_every_comparison():
    assert joint_verdict(["supported", "supported"]) == "supported"
    assert joint_verdict(["supported", "not shown"]) == "not shown"
    assert joint_verdict(["contradicted", "contradicted"]) == "contradicted"
    assert joint_verdict([]) == "not shown"


@pytest.fixture
def base():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    ffn = "blocks.0.ffn."
    state = {f"{ffn}0.weight": drawn(FFN, DIM), f"{ffn}0.bias": drawn(FFN)}
    return state | {f"{ffn}2.weight": drawn(DIM, FFN), f"{ffn}2.bias": drawn(DIM), "other": drawn(3)}


def feed_forward(state, x):
    hidden = torch.nn.functional.gelu(x @ state["blocks.0.ffn.0.weight"].T + state["blocks.0.ffn.0.bias"])
    return hidden @ state["blocks.0.ffn.2.weight"].T + state["blocks.0.ffn.2.bias"]


def test_the_dense_base_is_the_same_function(base):
    wider = widened(base)
    x = torch.randn(5, DIM, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(feed_forward(wider, x), feed_forward(base, x), atol=1e-6)
    assert torch.equal(wider["other"], base["other"])
    assert torch.equal(wider["blocks.0.ffn.0.weight"], widened(base)["blocks.0.ffn.0.weight"])


@pytest.mark.parametrize("dim", [DIM, 128])
def test_the_dense_base_has_as_many_parameters_as_experts_bring(dim):
    assert abs(more_units(dim) * (2 * dim + 1) - expert_parameters(dim)) <= dim + 1


def test_the_new_units_learn(base):
    wider = {name: tensor.requires_grad_() for name, tensor in widened(base).items()}
    feed_forward(wider, torch.ones(1, DIM)).sum().backward()
    assert wider["blocks.0.ffn.2.weight"].grad[:, FFN:].abs().max() > 0


def test_a_base_of_other_names_is_refused(base):
    with pytest.raises(ValueError, match=r"has no blocks\.0\.ffn\.0\.weight"):
        widened({"x": base["other"]})


@pytest.mark.parametrize("count", [2, 3, 50])
def test_no_row_keeps_its_own_video(count):
    others = other_rows(count)
    assert sorted(others) == list(range(count))
    assert all(own != other for own, other in enumerate(others))
    assert others == other_rows(count)


def test_one_row_has_no_other():
    with pytest.raises(ValueError, match="1 rows"):
        other_rows(1)


def test_the_placebo_table_exchanges_videos_only(tmp_path):
    rows = [{"prompt": f"p{n}", COLUMN: f"clips/{n}/hoi.mp4", "face": '{"frame_2": [1, 2]}'} for n in range(7)]
    table, place = tmp_path / "table.csv", tmp_path / "placebo.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_placebo(table, place)
    with place.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["prompt"] for row in found] == [row["prompt"] for row in rows]
    assert [row["face"] for row in found] == [row["face"] for row in rows]
    assert Counter(row[COLUMN] for row in found) == Counter(row[COLUMN] for row in rows)
    assert all(own[COLUMN] != other[COLUMN] for own, other in zip(rows, found, strict=True))
