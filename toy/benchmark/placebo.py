"""A training table in which each row has the HOI video of another scene: as much loss, but not of this scene."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLUMN = "hoi_video"
SEED = 20261129  # of the exchange


def other_rows(count: int) -> list[int]:
    """For each row the row whose HOI video it gets: one fixed cycle through all of them, so none keeps its own.

    Raises:
        ValueError: fewer than two rows.
    """
    if count < 2:
        raise ValueError(f"The table has {count} rows, but 2 or more are expected; make more clips.")
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(count)
    others = np.empty(count, dtype=int)
    others[order] = np.roll(order, 1)
    return [int(other) for other in others]


def exchanged(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Rows with the HOI videos of others."""
    return [{**row, COLUMN: rows[other][COLUMN]} for row, other in zip(rows, other_rows(len(rows)), strict=True)]


def write_placebo(table: Path, place: Path) -> None:
    """Write the table beside the true one, whose paths it keeps."""
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or ()
    beside = place.with_name(f".{place.name}.part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(exchanged(rows))
    beside.replace(place)
