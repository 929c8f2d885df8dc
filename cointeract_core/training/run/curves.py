"""The curves of a run on disk: `metrics.csv` as they grow, TensorBoard events beside it, and a picture of them.

The file is the only memory of a run's curves.  The page reads it too (see `host/page/live.py`).
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ...csv_text import CsvError, split_csv
from ...drawing.plot import draw_curves, save_picture
from ...errors import InputError
from ...files import replaced

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger("cointeract")

STEP = "step"
COLUMNS = (
    "loss",
    "rgb",
    "hoi",
    "router",
    "face_accuracy",
    "hand_accuracy",
    "learning_rate",
    "gradient_norm",
    "memory_gb",
    "seconds",
    "validation",
)
LARGEST_STEP = 1 << 53  # the page reads numbers as JavaScript does
METRICS, PICTURE, EVENTS = "metrics.csv", "curves.png", "tensorboard"


@dataclass(frozen=True, slots=True)
class CurveRow:
    """The values after `step` steps, by the names in `COLUMNS`; None where a step has no such value."""

    step: int
    values: dict[str, float | None]


class CurveLog:
    """Writes the curves of one run while it runs.

    Args:
        folder: of the run; made where it is missing.
        keep_to_step: rows of an earlier part of the run stay up to this step, later ones are cut.

    Raises:
        InputError: there is a metrics.csv whose rows should stay, but it is not ours.
    """

    def __init__(self, folder: Path, keep_to_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows = _rows_to(folder / METRICS, keep_to_step)
        self._file = _rewrite(folder / METRICS, self._rows).open("a", encoding="utf-8", newline="")
        self._events = _open_events(folder / EVENTS, keep_to_step)

    @property
    def rows(self) -> tuple[CurveRow, ...]:
        """Everything in the file, oldest first."""
        return tuple(self._rows)

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Append a step's values.

        Args:
            step: how many steps are done, counted from 1.
            values: by the names in `COLUMNS`; those left out are empty in the file.

        Raises:
            InputError: a name is not in `COLUMNS`.
        """
        unknown = sorted(set(values) - set(COLUMNS))
        if unknown:
            raise InputError(f"The curve {unknown[0]} is not known; use one of {', '.join(COLUMNS)}.")
        row = CurveRow(step, {name: values.get(name) for name in COLUMNS})
        self._rows.append(row)
        self._file.write(_lines([row]))
        self._file.flush()
        if self._events is not None:
            for name, value in row.values.items():
                if value is not None:
                    self._events.add_scalar(name, value, step)

    def draw(self) -> Tensor:
        """Write `curves.png` and return it, `[1, H, W, 3]` in 0-1."""
        picture = draw_curves([row.step for row in self._rows], _columns(self._rows))
        save_picture(picture, self._folder / PICTURE)
        return picture

    def close(self) -> None:
        """Write out what is held back and let go of the files."""
        self._file.close()
        if self._events is not None:
            self._events.close()
            self._events = None


def read_rows(path: Path) -> list[CurveRow]:
    """Rows of a `metrics.csv`, also of one that a run is writing: an unfinished last line is left out.

    Raises:
        InputError: it is not a file of curves.
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} is not in UTF-8 (byte {error.start + 1}), but a file of curves was expected; move the file "
            "away."
        ) from error
    whole = text[: text.rfind("\n") + 1]
    try:
        header, *lines = split_csv(whole) or [[]]
    except CsvError as error:
        raise InputError(
            f"{path.name} is no CSV ({error}), but a file of curves was expected; move the file away."
        ) from error
    if whole and STEP not in header:
        raise InputError(
            f"{path.name} begins with {whole.splitlines()[0][:60]!r}, but a first line with the column {STEP} was "
            "expected; move the file away."
        )
    rows = []
    for number, line in enumerate(lines, 2):
        cells = dict(zip(header, line, strict=False))  # a line that was cut has fewer
        try:
            if len(line) > len(header):
                raise ValueError(line)
            if line:
                rows.append(CurveRow(_step(cells.get(STEP)), {name: _number(cells.get(name)) for name in COLUMNS}))
        except ValueError as error:
            raise InputError(
                f"Line {number} of {path.name} does not hold numbers; correct it, or move the file away."
            ) from error
    return rows


def _rows_to(path: Path, step: int) -> list[CurveRow]:
    """Rows of the first `step` steps; none are read where none should stay."""
    if step <= 0 or not path.is_file():
        return []
    return [row for row in read_rows(path) if row.step <= step]


def _rewrite(path: Path, rows: Iterable[CurveRow]) -> Path:
    """Write the file anew and give where it is; see `replaced`."""
    with replaced(path) as done:
        done.beside.write_text(",".join((STEP, *COLUMNS)) + "\n" + _lines(rows), encoding="utf-8", newline="")
    return done.path


def _lines(rows: Iterable[CurveRow]) -> str:
    """Rows as text; Python's `repr` of a float reads back as the same float."""
    return "".join(
        ",".join([str(row.step), *("" if value is None else repr(float(value)) for value in row.values.values())])
        + "\n"
        for row in rows
    )


def _step(text: str | None) -> int:
    step = int(text or "")
    if not 0 <= step <= LARGEST_STEP:
        raise ValueError(step)
    return step


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _columns(rows: Iterable[CurveRow]) -> dict[str, list[float | None]]:
    """Values by curve; what is not finite cannot be drawn."""
    listed = list(rows)
    return {name: [_finite(row.values[name]) for row in listed] for name in COLUMNS}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _open_events(folder: Path, keep_to_step: int) -> SummaryWriter | None:
    """A writer of TensorBoard events, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        log.info("TensorBoard is not installed; the curves go to %s and %s only", METRICS, PICTURE)
        return None
    from torch.utils.tensorboard import SummaryWriter

    # steps after the point of resuming were written by the part of the run that was lost
    return SummaryWriter(str(folder), purge_step=keep_to_step + 1 if keep_to_step else None)
