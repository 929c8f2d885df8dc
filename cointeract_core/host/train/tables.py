"""Training tables in the host's input folder, checked and shown."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import comfy.utils
import folder_paths
from torch import Tensor

from ...errors import InputError
from ...training.settings.sections import DataSettings
from ...training.table.preflight import CheckedRow, Preflight, check_table
from ...training.table.rows import parse_row, read_table
from ...training.table.sheet import contact_sheet
from ..page.progress import stop_if_interrupted

log = logging.getLogger("cointeract")

NO_TABLE = "no .csv file in the input folder"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A checked table, and how it is to be used."""

    settings: DataSettings
    preflight: Preflight

    def row(self, number: int) -> CheckedRow | None:
        """The usable row of that number, the first one for 0; None where there is none.

        Raises:
            InputError: the row cannot be used, or is not there.
        """
        rows = self.preflight.rows
        if number == 0:
            return rows[0] if rows else None
        found = next((checked for checked in rows if checked.row.number == number), None)
        if found is None and rows:
            known = ", ".join(str(checked.row.number) for checked in rows[:20])
            raise InputError(f"show_row is {number}, but the usable rows are {known}; choose one, or 0 for the first.")
        return found


def table_names() -> list[str]:
    """CSV files below the host's input folder, as paths in it."""
    root = Path(folder_paths.get_input_directory())
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.csv") if path.is_file())
    return found or [NO_TABLE]


def find_table(name: str) -> Path:
    """Where a table lies.

    Raises:
        InputError: outside the input folder, or not there.
    """
    root = Path(folder_paths.get_input_directory()).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise InputError(
            f"table is {name}, but a .csv file inside ComfyUI's input folder is expected; put the table there with its "
            "videos beside it and refresh the page."
        )
    return path


def table_stamp(name: str) -> str:
    """What a check of a table stands on: the table and every file it names, by time and size.

    Raises:
        InputError: there is no such table.
    """
    path = find_table(name)
    files = [path]
    with suppress(InputError):  # of a table that cannot be read: the check says it
        table = read_table(path)
        files += [
            file for number, cells in table.rows for file in parse_row(number, cells, table.folder).files.values()
        ]
    stats = [(str(file), file.stat()) for file in files]
    told = [(file, stat.st_mtime_ns, stat.st_size) for file, stat in stats]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def read_training_data(settings: DataSettings, node_id: str | None) -> TrainingData:
    """Check every row of a table.

    Raises:
        InputError: the table itself cannot be read; what is wrong with rows is in the preflight.
    """
    table = find_table(settings.table)
    bars: list[comfy.utils.ProgressBar] = []

    def progress(done: int, total: int) -> None:
        stop_if_interrupted()
        if not bars:
            bars.append(comfy.utils.ProgressBar(total, node_id=node_id))
        bars[0].update_absolute(done)

    preflight = check_table(
        table, size=settings.size, max_pixels=settings.max_pixels, latents=settings.latents, progress=progress
    )
    log.info("%s", preflight.report)
    return TrainingData(settings, preflight)


def picture_of(data: TrainingData, number: int) -> Tensor | None:
    """The contact sheet of a row, `[1, H, W, 3]`; None where no row is usable."""
    checked = data.row(number)
    return None if checked is None else contact_sheet(checked)
