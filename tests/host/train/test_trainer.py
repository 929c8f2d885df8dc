"""The training loop on the tiny model: it learns, it can be cut anywhere, and it goes on as if it had not been."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.training.run.engine import LocalEngine
from cointeract_pack.cointeract_core.training.run.fingerprint import fingerprint
from cointeract_pack.cointeract_core.training.run.state import load_state, states
from cointeract_pack.cointeract_core.training.run.trainer import STATES, Hooks, Trainer
from cointeract_pack.cointeract_core.training.run.turns import row_of

CPU = torch.device("cpu")
ROWS = 3
CURVES_OF_TIME = ("seconds", "memory_gb")  # these differ from run to run


class CutError(Exception):
    """The user has pressed Interrupt, or somebody pulled the plug."""


def make_trainer(case, folder, settings, hooks=None, rows=ROWS, held_out=0, data="rows"):
    """A trainer over a fresh model, as a new process would make it."""
    model, lora = case.model(settings)
    handles = lora.attached(model.dit)
    handles.__enter__()
    model.keep_attached = handles  # as long as the model lives
    load = [lambda seed=seed: case.sample(seed) for seed in range(rows + held_out)]
    return Trainer(
        model=model,
        samples=load[:rows],
        held_out=load[rows:],
        settings=settings,
        engine=LocalEngine(CPU),
        root=folder,
        identity=fingerprint(settings, data_stamp=data, model_stamp="tiny"),
        hooks=hooks or Hooks(to_model=lambda tensor: tensor),
    )


def curve(folder):
    """The run's curves as text, without what depends on the clock."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if name not in CURVES_OF_TIME} for row in rows]


def cutting_hooks(at, kind=CutError, saves=True):
    """Hooks whose `to_model` raises in the middle of step `at`."""
    steps = {"done": 0, "calls": 0}

    def after_step(step, _values):
        steps["done"] = step

    def to_model(tensor):
        if steps["done"] == at - 1:
            steps["calls"] += 1
            if steps["calls"] > 9:  # within its second sample
                raise kind
        return tensor

    return Hooks(to_model=to_model, interrupts=(CutError,) if saves else (), after_step=after_step)


def run_settings(case, steps=6, **more):
    sections = {
        "run": {"name": "tiny", "steps": steps, "save_every": 2, "keep_last": 2, "validate_every": 3, "seed": 5},
        "optimizer": {"learning_rate": 1e-3, "accumulation": 2, "ema": 0.9, "warmup": 2, "schedule": "cosine"},
    }
    for name, values in more.items():
        sections[name] = {**sections.get(name, {}), **values}
    return case.settings(**sections)


@pytest.fixture(scope="module")
def undisturbed(training_case, tmp_path_factory):
    """A run from start to end, its curve and its adapter."""
    folder = tmp_path_factory.mktemp("whole")
    adapter = make_trainer(training_case, folder, run_settings(training_case), held_out=1).run()
    return folder, curve(folder), adapter


def test_a_run_leaves_curves_states_and_an_average(undisturbed):
    folder, rows, _ = undisturbed
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(row[name] for row in rows for name in ("loss", "rgb", "hoi", "router", "learning_rate"))
    assert [bool(row["validation"]) for row in rows] == [False, False, True, False, False, True]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in states(folder / STATES)] == ["state_00000004", "state_00000006"]
    saved = load_state(states(folder / STATES)[-1])
    assert saved.tensors["average"].keys() == saved.tensors["trained"].keys()


@pytest.mark.parametrize("saves", [True, False], ids=["interrupted", "killed"])
@pytest.mark.parametrize("at", [2, 4, 6])
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(at, saves, training_case, undisturbed, tmp_path):
    _, expected, adapter = undisturbed
    settings = run_settings(training_case)
    with pytest.raises(CutError):
        make_trainer(training_case, tmp_path, settings, cutting_hooks(at, saves=saves), held_out=1).run()
    found = states(tmp_path / STATES)
    reached = at - 1 if saves else (at - 1) // 2 * 2
    assert (load_state(found[-1]).step if found else 0) == reached
    again = make_trainer(training_case, tmp_path, settings, held_out=1).run()
    assert curve(tmp_path) == expected
    assert again.keys() == adapter.keys()
    assert [name for name in adapter if not torch.equal(again[name], adapter[name])] == []


def test_a_finished_run_does_nothing_more(training_case, undisturbed):
    folder, expected, adapter = undisturbed
    again = make_trainer(training_case, folder, run_settings(training_case), held_out=1).run()
    assert curve(folder) == expected
    assert all(torch.equal(again[name], adapter[name]) for name in adapter)


def test_more_steps_may_be_added(training_case, tmp_path):
    constant = {"optimizer": {"schedule": "constant", "warmup": 0}}
    make_trainer(training_case, tmp_path / "a", run_settings(training_case, 2, **constant)).run()
    make_trainer(training_case, tmp_path / "a", run_settings(training_case, 4, **constant)).run()
    make_trainer(training_case, tmp_path / "b", run_settings(training_case, 4, **constant)).run()
    assert curve(tmp_path / "a") == curve(tmp_path / "b")


def test_other_settings_or_data_are_not_resumed(training_case, tmp_path):
    settings = run_settings(training_case, 3)
    make_trainer(training_case, tmp_path, settings).run()
    other = run_settings(training_case, 3, optimizer={"learning_rate": 2e-3}, loss={"hoi": 0.25})
    with pytest.raises(InputError) as caught:
        make_trainer(training_case, tmp_path, other, data="other rows").run()
    assert str(caught.value) == (
        "The run tiny was begun with other settings or data: loss.hoi was 0.5 and is 0.25; optimizer.learning_rate was "
        "0.001 and is 0.002; data is another; set them back to resume it, or choose another name."
    )
    with pytest.raises(InputError) as caught:
        make_trainer(training_case, tmp_path, run_settings(training_case, 3, run={"resume": False})).run()
    assert str(caught.value) == (
        "The run tiny already has 2 saved states, but resume is off; choose another name, or switch resume on to "
        "continue it."
    )


def test_a_damaged_state_is_named(training_case, tmp_path):
    settings = run_settings(training_case, 3)
    make_trainer(training_case, tmp_path, settings).run()
    newest = states(tmp_path / STATES)[-1]
    (newest / "trained.safetensors").write_bytes(b"half of")
    with pytest.raises(InputError, match=r"^The saved state state_00000003 cannot be read, but a whole one was"):
        make_trainer(training_case, tmp_path, settings).run()


def test_nothing_half_written_is_taken_for_a_state(training_case, tmp_path):
    half = tmp_path / STATES / ".begun_state_00000009"
    half.mkdir(parents=True)
    (half / "state.json").write_text(json.dumps({"step": 9}), encoding="utf-8")
    make_trainer(training_case, tmp_path, run_settings(training_case, 3)).run()
    assert not half.exists()
    assert len(curve(tmp_path)) == 3


def test_a_loss_that_is_no_number_stops_the_run(training_case, tmp_path):
    hooks = Hooks(to_model=lambda tensor: tensor * float("nan") if tensor.ndim == 5 else tensor)
    with pytest.raises(InputError, match=r"^The loss of step 1 is nan, but a number is expected; resume with a lower"):
        make_trainer(training_case, tmp_path, run_settings(training_case), hooks).run()
    assert states(tmp_path / STATES) == []


def test_the_loss_falls_on_one_row(training_case, tmp_path):
    settings = training_case.settings(
        run={"name": "tiny", "steps": 120, "validate_every": 120, "save_every": 0},
        optimizer={"learning_rate": 5e-3},
        sampling=dict.fromkeys(("prompt_dropout", "motion_dropout", "pose_dropout", "audio_dropout"), 0.0),
    )
    trainer = make_trainer(training_case, tmp_path, settings, rows=1)
    trainer.held_out = trainer.samples  # to overfit it: the same noise every time
    before = trainer.model.dit.training
    trainer.run()
    assert trainer.model.dit.training == before
    rows = curve(tmp_path)
    first, last = (sum(float(row["router"]) for row in part) / 10 for part in (rows[:10], rows[-10:]))
    assert last < first / 2
    assert float(rows[-1]["face_accuracy"]) > float(rows[0]["face_accuracy"])


def test_two_stages_switch_at_their_step(training_case, tmp_path):
    from cointeract_pack.cointeract_core.training.step.step import visibility_at

    settings = run_settings(training_case, 4, hoi={"mode": "two_stage", "switch_step": 2})
    assert [visibility_at(settings.hoi, step) for step in range(4)] == ["mutual"] * 2 + ["asymmetric"] * 2
    make_trainer(training_case, tmp_path, settings).run()
    mutual = run_settings(training_case, 4, hoi={"mode": "mutual"})
    make_trainer(training_case, tmp_path / "mutual", mutual).run()
    two, one = curve(tmp_path), curve(tmp_path / "mutual")
    assert two[:2] == one[:2]
    assert two[2]["rgb"] != one[2]["rgb"]


def test_every_row_comes_once_before_any_comes_again():
    orders = [[row_of(turn * 7 + place, 7, seed=3) for place in range(7)] for turn in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1
