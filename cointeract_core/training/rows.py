"""The training table: a CSV file in the authors' columns, its cells read and its files found.

An empty optional cell means that the row has no such thing; nothing is ever taken from another row instead.
Source: TR:175-320 and the README of the reference.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..checkpoint.keys import OFFICIAL_HOI_COLUMN
from ..errors import InputError
from ..shapes import VideoSize

HOI_COLUMN = "hoi_video"
FILES = {
    "input_video": "a video",
    "audio": "the sound of the clip",
    "person_image": "a picture",
    "product_image": "a picture",
    "motion_video": "a video",
    HOI_COLUMN: "a video",
    "pose_video": "a video",
}
REQUIRED = ("prompt", "input_video", "audio", "person_image")
COLUMNS = ("prompt", *FILES, "face", "hand_object", "height", "width", "scale")
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 4.0  # of the product's positions


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be used: its number, the column, and a sentence with the remedy."""

    row: int
    column: str
    text: str

    def sentence(self) -> str:
        """``row 3, audio: ...``."""
        return f"row {self.row}, {self.column}: {self.text}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        number: as a spreadsheet counts; the header is row 1.
        face, hand: text of the boxes, None where the cell is empty.
        source: size the boxes were drawn on; None where it is the video's own.
        product_scale: of the product's positions.
    """

    number: int
    prompt: str
    input_video: Path
    audio: Path
    person_image: Path
    product_image: Path | None = None
    motion_video: Path | None = None
    hoi_video: Path | None = None
    pose_video: Path | None = None
    face: str | None = None
    hand: str | None = None
    source: VideoSize | None = None
    product_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table as text, by column, and what was noticed about its columns."""

    folder: Path
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    notes: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        InputError: a file that cannot be read, is no CSV, lacks columns or rows, or names a column twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except OSError as error:
        raise InputError(
            f"The table {path.name} cannot be read ({error.strerror}), but a .csv file is expected; check its path."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"The table {path.name} is no CSV in UTF-8 ({error}), but one is expected; save it as “CSV UTF-8”."
        ) from error
    if not lines:
        raise InputError(f"The table {path.name} is empty, but a line of column names is expected; add it.")
    header = [name.strip() for name in lines[0]]
    notes = _check_header(path.name, header)
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if any(cell.strip() for cell in line):
            rows.append((number, dict(zip(header, line, strict=False))))
    if not rows:
        raise InputError(f"The table {path.name} has no rows, but at least one is expected; add one per clip.")
    return Table(path.resolve().parent, tuple(rows), tuple(notes))


def _check_header(name: str, header: list[str]) -> list[str]:
    absent = [column for column in REQUIRED if column not in header]
    if absent:
        raise InputError(
            f"The table {name} has no column {', '.join(absent)}, but {', '.join(REQUIRED)} are needed; add it to the "
            "first line."
        )
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if {HOI_COLUMN, OFFICIAL_HOI_COLUMN} <= set(header):
        twice.append(f"{HOI_COLUMN} (also as {OFFICIAL_HOI_COLUMN})")
    if twice:
        raise InputError(f"The table {name} has the column {', '.join(twice)} twice, but once is expected; remove one.")
    known = {*COLUMNS, OFFICIAL_HOI_COLUMN}
    unknown = [column for column in header if column and column not in known]
    return [f"The table's columns {', '.join(unknown)} are not known and not used."] if unknown else []


def parse_row(number: int, cells: Mapping[str, str], folder: Path) -> tuple[Row | None, list[Problem]]:
    """A row of the table, or everything that is wrong with its cells.

    Args:
        folder: of the table, which the files lie in.
    """
    problems: list[Problem] = []
    named = {HOI_COLUMN if name == OFFICIAL_HOI_COLUMN else name: (text or "").strip() for name, text in cells.items()}
    files: dict[str, Path] = {}
    for column, what in FILES.items():
        try:
            path = _find(named.get(column, ""), folder, what, required=column in REQUIRED)
        except InputError as error:
            problems.append(Problem(number, column, str(error)))
            continue
        if path is not None:
            files[column] = path
    if not named.get("prompt"):
        problems.append(
            Problem(number, "prompt", "the cell is empty, but a description is expected; say what is to be seen.")
        )
    source = scale = None
    try:
        source = _source(named.get("width", ""), named.get("height", ""))
    except InputError as error:
        problems.append(Problem(number, "width, height", str(error)))
    try:
        scale = _scale(named.get("scale", ""))
    except InputError as error:
        problems.append(Problem(number, "scale", str(error)))
    if problems:
        return None, problems
    boxes = {"face": named.get("face") or None, "hand": named.get("hand_object") or None}
    return Row(number=number, prompt=named["prompt"], source=source, product_scale=scale, **files, **boxes), []


def _find(text: str, folder: Path, what: str, *, required: bool) -> Path | None:
    if not text:
        if required:
            raise InputError(f"the cell is empty, but {what} is expected; name a file, as seen from the table.")
        return None
    path = (folder / text).resolve()
    if not path.is_relative_to(folder):
        raise InputError(f"“{text}” lies outside the table's folder, but files inside it are expected; move it there.")
    if not path.is_file():
        raise InputError(f"“{text}” is not there, but {what} is expected; correct the name, or put the file there.")
    return path


def _source(width: str, height: str) -> VideoSize | None:
    if not width and not height:
        return None
    try:
        sides = [float(width), float(height)]
    except ValueError:
        sides = [math.nan]
    if not all(math.isfinite(side) and side >= 1 and side == int(side) for side in sides):
        raise InputError(
            f"they are “{width}” and “{height}”, but the pixels of the video the boxes were drawn on are expected; "
            "write both, or leave both empty."
        )
    return VideoSize(*(int(side) for side in sides))


def _scale(text: str) -> float:
    if not text:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not SMALLEST_SCALE <= value <= LARGEST_SCALE:
        raise InputError(
            f"it is “{text}”, but a number from {SMALLEST_SCALE:g} to {LARGEST_SCALE:g} is expected; leave it empty "
            "for 1."
        )
    return value
