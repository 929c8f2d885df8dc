"""The training table: a CSV file in the authors' columns, its cells read and its files found.

An empty optional cell means that the row has no such thing; nothing is ever taken from another row instead.
Source: TR:175-320 and the README of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...checkpoint.keys import OFFICIAL_HOI_COLUMN
from ...csv_text import CsvError, split_csv
from ...errors import InputError, name_some, shown
from ...shapes import VideoSize
from .box_cells import Boxes, read_boxes

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
LARGEST_SOURCE = 1 << 16  # pixels of a side of the video the boxes were drawn on
LONGEST_NAME = 40  # characters of a wrong name that an error shows
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
Value = TypeVar("Value")


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
        face, hand: boxes, None where the cell is empty.
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
    face: Boxes | None = None
    hand: Boxes | None = None
    source: VideoSize | None = None
    product_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Draft:
    """What the cells of a row come to, with everything that is wrong with them.

    Attributes:
        files: those that are there, by column.
        face, hand, source, product_scale: as in `Row`; None also where the cell cannot be read.
    """

    number: int
    prompt: str
    files: Mapping[str, Path]
    face: Boxes | None
    hand: Boxes | None
    source: VideoSize | None
    product_scale: float | None
    problems: tuple[Problem, ...]

    def row(self) -> Row:
        """The row of a draft without problems."""
        scale = 1.0 if self.product_scale is None else self.product_scale
        return Row(
            number=self.number,
            prompt=self.prompt,
            face=self.face,
            hand=self.hand,
            source=self.source,
            product_scale=scale,
            **self.files,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table as text, by column, and what was noticed about its columns.

    Attributes:
        problems: rows whose cells cannot be told apart; they are not among the rows.
    """

    folder: Path
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        InputError: a file that cannot be read, is no CSV, lacks columns or rows, or names a column twice.
    """
    lines = _read_lines(path)
    if not any(any(cell.strip() for cell in line) for line in lines[:1]):
        raise InputError(f"The table {path.name} is empty, but a line of column names is expected; add it.")
    header = [name.strip() for name in lines[0]]
    notes = _check_header(path.name, header)
    rows, problems = [], []
    for number, line in enumerate(lines[1:], 2):
        if len(line) > len(header) and any(cell.strip() for cell in line[len(header) :]):
            text = (
                f"it has {len(line)} cells, but the table has {len(header)} columns; put double quotes around cells "
                "with commas in them."
            )
            problems.append(Problem(number, "all columns", text))
        elif any(cell.strip() for cell in line):
            rows.append((number, dict(zip(header, line, strict=False))))  # cells left out at the end are empty ones
    if not rows and not problems:
        raise InputError(f"The table {path.name} has no rows, but at least one is expected; add one per clip.")
    return Table(path.resolve().parent, tuple(rows), tuple(problems), tuple(notes))


def _read_lines(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return split_csv(file.read())
    except OSError as error:
        raise InputError(
            f"The table {path.name} cannot be read ({error.strerror}), but a .csv file is expected; check its path."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"The table {path.name} is not in UTF-8 (byte {error.start + 1}), but UTF-8 is expected; save it as "
            "“CSV UTF-8”."
        ) from error
    except CsvError as error:
        raise InputError(
            f"The table {path.name} is no CSV ({error}), but one is expected; write a double quote inside of quotes "
            "twice."
        ) from error


def _check_header(name: str, header: list[str]) -> list[str]:
    absent = [column for column in REQUIRED if column not in header]
    for mark, word in OTHER_SEPARATORS.items():
        if absent and mark in header[0]:
            raise InputError(
                f"The table {name} has {word} between its columns, but commas are expected; save it with commas."
            )
    if absent:
        raise InputError(
            f"The table {name} has no column {', '.join(absent)}, but {', '.join(REQUIRED)} are needed; add it to the "
            "first line."
        )
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if {HOI_COLUMN, OFFICIAL_HOI_COLUMN} <= set(header):
        twice.append(f"{HOI_COLUMN} (also as {OFFICIAL_HOI_COLUMN})")
    if twice:
        raise InputError(f"The table {name} has the column {name_some(twice)} twice, but once is expected; remove one.")
    known = {*COLUMNS, OFFICIAL_HOI_COLUMN}
    unknown = [column for column in header if column and column not in known]
    notes = [f"The table's columns {name_some(unknown)} are not known and not used."] if unknown else []
    if OFFICIAL_HOI_COLUMN in header:
        notes.append(f"The table's column {OFFICIAL_HOI_COLUMN} is read as {HOI_COLUMN}.")
    return notes


def parse_row(number: int, cells: Mapping[str, str], folder: Path) -> Draft:
    """Read the cells of a row and find its files.

    Args:
        folder: of the table, which the files lie in.
    """
    problems: list[Problem] = []
    named = {HOI_COLUMN if name == OFFICIAL_HOI_COLUMN else name: text.strip() for name, text in cells.items()}

    def attempt(column: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except InputError as error:
            problems.append(Problem(number, column, str(error)))
            return None

    def boxes_of(column: str) -> Boxes | None:
        text = named.get(column)
        return attempt(column, lambda: read_boxes(text, column)) if text else None

    prompt = named.get("prompt", "")
    if not prompt:
        text = "the cell is empty, but a description is expected; say what is to be seen."
        problems.append(Problem(number, "prompt", text))
    files: dict[str, Path] = {}
    for column, what in FILES.items():
        name = named.get(column, "")
        if name or column in REQUIRED:
            path = attempt(column, partial(_find, name, folder, what))
            files |= {} if path is None else {column: path}
    return Draft(
        number=number,
        prompt=prompt,
        files=files,
        face=boxes_of("face"),
        hand=boxes_of("hand_object"),
        source=attempt("width, height", lambda: _source(named.get("width", ""), named.get("height", ""))),
        product_scale=attempt("scale", lambda: _scale(named.get("scale", ""))),
        problems=tuple(problems),
    )


def _find(text: str, folder: Path, what: str) -> Path:
    if not text:
        raise InputError(f"the cell is empty, but {what} is expected; name a file, as seen from the table.")
    try:
        path = (folder / text.replace("\\", "/")).resolve()  # tables written on Windows
        there, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(
            f"“{shown(text, LONGEST_NAME)}” cannot be the name of a file, but {what} is expected; look whether cells "
            "are mixed up."
        ) from error
    name = shown(text)
    if not path.is_relative_to(folder):
        raise InputError(f"“{name}” lies outside the table's folder, but files inside it are expected; move it there.")
    if is_folder:
        raise InputError(f"“{name}” is a folder, but {what} is expected; name the file in it.")
    if not there:
        raise InputError(f"“{name}” is not there, but {what} is expected; correct the name, or put the file there.")
    return path


def _source(width: str, height: str) -> VideoSize | None:
    if not width and not height:
        return None
    try:
        sides = [float(width), float(height)]
    except ValueError:
        sides = [math.nan]
    if not all(1 <= side <= LARGEST_SOURCE and side == int(side) for side in sides):
        raise InputError(
            f"they are “{shown(width)}” and “{shown(height)}”, but the pixels of the video the boxes were drawn on "
            "are expected; write both, or leave both empty."
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
            f"it is “{shown(text)}”, but a number from {SMALLEST_SCALE:g} to {LARGEST_SCALE:g} is expected; leave it "
            "empty for 1."
        )
    return value
