"""Curves on disk: exact text, cutting on resume, half-written lines, TensorBoard events, the picture."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.drawing.plot import Axis, draw_curves, number, smooth, thin, ticks
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.training.run.curves import COLUMNS, METRICS, PICTURE, CurveLog, CurveRow, read_rows

STEPS = 12


def values(step: int) -> dict[str, float | None]:
    """A step's values, none of them round."""
    loss = math.exp(-step / 7) / 3
    return {"loss": loss, "rgb": loss * 0.7, "hoi": None, "learning_rate": 1e-5 / 3, "seconds": 0.1 + step / 3}


@pytest.fixture
def written(tmp_path):
    log = CurveLog(tmp_path)
    for step in range(1, STEPS + 1):
        log.add(step, values(step))
    log.close()
    return tmp_path


def test_reads_back_the_same_numbers(written):
    rows = read_rows(written / METRICS)
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    for row in rows:
        given = values(row.step)
        assert row.values == {name: given.get(name) for name in COLUMNS}


def test_rows_property_is_the_file(tmp_path):
    log = CurveLog(tmp_path)
    log.add(1, {"loss": 0.1, "validation": 1 / 3})
    assert list(log.rows) == read_rows(tmp_path / METRICS)
    log.close()


def test_resuming_gives_the_file_of_an_undisturbed_run(written, tmp_path_factory):
    other = tmp_path_factory.mktemp("cut")
    first = CurveLog(other)
    for step in range(1, 9):
        first.add(step, values(step) if step <= 5 else {"loss": 9.0})
    first.close()
    second = CurveLog(other, keep_to_step=5)
    assert [row.step for row in second.rows] == [1, 2, 3, 4, 5]
    for step in range(6, STEPS + 1):
        second.add(step, values(step))
    second.close()
    assert (other / METRICS).read_bytes() == (written / METRICS).read_bytes()
    assert not list(other.glob(".*.part"))


def test_a_new_run_cuts_everything(written):
    CurveLog(written).close()
    assert read_rows(written / METRICS) == []


def test_a_line_cut_by_a_crash_is_left_out(written):
    path = written / METRICS
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-9], encoding="utf-8")
    assert [row.step for row in read_rows(path)] == list(range(1, STEPS))
    resumed = CurveLog(written, keep_to_step=STEPS - 1)
    resumed.add(STEPS, values(STEPS))
    resumed.close()
    assert path.read_text(encoding="utf-8") == text


def test_numbers_that_are_none(tmp_path):
    log = CurveLog(tmp_path)
    log.add(1, {"loss": float("nan"), "rgb": float("inf")})
    log.draw()  # draws what is finite: nothing
    log.close()
    row = read_rows(tmp_path / METRICS)[0]
    assert math.isnan(row.values["loss"])
    assert row.values["rgb"] == math.inf


def test_other_files_are_refused(tmp_path):
    path = tmp_path / METRICS
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="column step was expected"):
        CurveLog(tmp_path, keep_to_step=3)
    path.write_text("step,loss\n1,0.5\n2,high\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"Line 3 of metrics.csv does not hold numbers"):
        read_rows(path)


def test_files_with_fewer_columns_are_read(tmp_path):
    (tmp_path / METRICS).write_text("step,loss,more\n1,0.5,7\n", encoding="utf-8")
    assert read_rows(tmp_path / METRICS) == [CurveRow(1, {name: 0.5 if name == "loss" else None for name in COLUMNS})]


def test_unknown_curves_are_refused(tmp_path):
    log = CurveLog(tmp_path)
    with pytest.raises(InputError, match="The curve accuracy is not known"):
        log.add(1, {"accuracy": 1.0})
    log.close()
    assert read_rows(tmp_path / METRICS) == []


def test_tensorboard_sees_one_line_of_a_resumed_run(tmp_path):
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("TensorBoard is not installed beside this Python.")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = CurveLog(tmp_path)
    for step in range(1, 7):
        first.add(step, {"loss": float(step)})
    first.close()
    second = CurveLog(tmp_path, keep_to_step=4)
    for step in range(5, 9):
        second.add(step, {"loss": 10.0 * step, "router": 0.5})
    second.close()
    seen = EventAccumulator(str(tmp_path / "tensorboard"))
    seen.Reload()
    points = [(event.step, event.value) for event in seen.Scalars("loss")]
    assert points == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 50.0), (6, 60.0), (7, 70.0), (8, 80.0)]
    assert [event.step for event in seen.Scalars("router")] == [5, 6, 7, 8]


def test_the_picture_is_what_is_returned(written):
    from PIL import Image

    log = CurveLog(written, keep_to_step=STEPS)
    drawn = log.draw()
    log.close()
    with Image.open(written / PICTURE) as picture:
        saved = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)
    assert drawn.shape[0] == 1
    assert drawn.shape[-1] == 3
    assert torch.allclose(saved, drawn[0], atol=1 / 255)


def test_the_picture_shows_the_curves():
    """Without values no curve's colour is in the plot; a falling line leaves it lower, a rising one higher."""
    steps = list(range(1, 101))
    empty = {name: [None] * 100 for name in COLUMNS}
    falling = {**empty, "rgb": [2 - step / 100 for step in steps]}
    rising = {**empty, "rgb": [1 + step / 100 for step in steps]}
    blank, down, up = (draw_curves(steps, columns)[0] for columns in (empty, falling, rising))

    def ends(picture: torch.Tensor) -> tuple[float, float]:
        """Mean row of the curve's colour at both ends of the loss panel; NaN where it is not there."""
        coloured = (picture - torch.tensor([78, 156, 245]) / 255).abs().amax(-1) < 0.02
        rows = torch.arange(len(picture), dtype=torch.float32)[95:580, None]
        left, right = (coloured[95:580, columns] for columns in (slice(90, 200), slice(850, 960)))
        return tuple(float((rows * part).sum() / part.sum()) for part in (left, right))

    assert all(math.isnan(row) for row in ends(blank))
    assert ends(down)[0] < ends(down)[1] - 100
    assert ends(up)[0] > ends(up)[1] + 100


def test_drawing_without_steps():
    assert draw_curves([], {}).shape == (1, 1000, 1600, 3)


def test_columns_of_another_length_are_refused():
    with pytest.raises(InputError, match="has 1 values, but 2 steps"):
        draw_curves([1, 2], {"loss": [0.5]})


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis(0, 1, 0, 100), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Axis(0, 0.7, 0, 100), [0.0, 0.2, 0.4, 0.6]),
        (Axis(1, 1000, 0, 100), [200.0, 400.0, 600.0, 800.0, 1000.0]),
        (Axis(0, 1.06e-5, 0, 100), [0.0, 5e-6, 1e-5]),
        (Axis(0.01, 1.5, 0, 100, log=True), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        (Axis(1e-4, 5, 0, 100, log=True), [1e-4, 1e-3, 1e-2, 0.1, 1.0]),
    ],
)
def test_ticks_are_round(axis, expected):
    assert ticks(axis) == pytest.approx(expected)


def test_numbers_are_short():
    assert [number(value) for value in (0, 0.25, 1200.0, 1e-5, 123456.0, 2 / 3)] == [
        *("0", "0.25", "1200", "1e-05", "1.23e+05", "0.6667"),
    ]


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant():
    line = [(float(step), 3.0) for step in range(20)]
    assert [y for _, y in smooth(line, 0.9)] == pytest.approx([3.0] * 20)
    assert smooth([(1.0, 5.0), (2.0, 1.0)], 0.9)[0] == (1.0, pytest.approx(5.0))


def test_thinning_keeps_spikes():
    line = [(float(x), 99.0 if x == 5432 else math.sin(x)) for x in range(10_000)]
    kept = thin(line, 200)
    assert len(kept) <= 400
    assert (5432.0, 99.0) in kept
    assert kept == sorted(kept)
