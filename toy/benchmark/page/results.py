"""What the cells have written, read back: means over seeds, and paired differences between cells."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cells import CELLS
from ..claims import JUDGED_ON, OF_ROWS, Claim, verdict
from .statistics import Interval, interval, mean_of, paired

NAMED = re.compile(r"(?P<cell>[a-z_]+)_(?P<seed>\d+)\.json")
Written = dict[str, Any]  # one cell with one seed, see `run.run_cell`


@dataclass(frozen=True, slots=True)
class Difference:
    """A claim's cell less one it is compared with; None where they share no seed.

    Attributes:
        shared: seeds that both have.
    """

    against: str
    found: Interval | None
    shared: tuple[int, ...]

    @property
    def verdict(self) -> str | None:
        """None where there is no interval."""
        return None if self.found is None or math.isinf(self.found.half) else verdict(self.found.low, self.found.high)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured, by cell and seed."""

    written: dict[str, dict[int, Written]]

    def of_scenes(self, cell: str, metric: str, part: str = JUDGED_ON) -> Interval | None:
        """Mean over seeds of the mean over scenes."""
        seeds = self.written.get(cell, {})
        return interval([mean_of(_column(one, metric, part)) for one in seeds.values()])

    def of_rows(self, cell: str, name: str, part: str = JUDGED_ON) -> Interval | None:
        """The same of a measure that needs no sampling, a field of `loss.Held`."""
        values = [one["rows"][part][name] for one in self.written.get(cell, {}).values()]
        return interval([value for value in values if value is not None])

    def of_any(self, cell: str, name: str, part: str = JUDGED_ON) -> Interval | None:
        """Of a measure of either kind."""
        return self.of_rows(cell, name, part) if name in OF_ROWS else self.of_scenes(cell, name, part)

    def difference(self, claim: Claim, against: str, part: str = JUDGED_ON) -> Difference:
        """Paired by seed, and within a seed by scene."""
        one, other = self.written.get(claim.cell, {}), self.written.get(against, {})
        shared = tuple(sorted(one.keys() & other.keys()))
        columns = [
            (_column(one[seed], claim.metric, part), _column(other[seed], claim.metric, part)) for seed in shared
        ]
        return Difference(against, interval([paired(*both) for both in columns]), shared)

    @property
    def seeds(self) -> dict[str, int]:
        """How many seeds each cell has."""
        return {cell: len(self.written.get(cell, {})) for cell in CELLS}


def read_results(folder: Path) -> Results:
    """Read every cell's numbers.

    Raises:
        ValueError: cells that were run in different ways.
    """
    written: dict[str, dict[int, Written]] = {}
    ways: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        found = NAMED.fullmatch(path.name)
        if found is None or found["cell"] not in CELLS:
            continue
        one = json.loads(path.read_text(encoding="utf-8"))
        written.setdefault(found["cell"], {})[int(found["seed"])] = one
        ways[_way(one, CELLS[found["cell"]].length)] = path.name
    if len(ways) > 1:
        raise ValueError(
            f"{' and '.join(ways.values())} were run in different ways ({'; '.join(ways)}), but cells of one grid are "
            "alike; remove those of the other."
        )
    return Results({cell: written[cell] for cell in CELLS if cell in written})


def _way(one: Written, length: float) -> str:
    """What all cells of a grid have in common."""
    sampling = one["sampling"]
    scenes = ", ".join(f"{len(scenes)} scenes of {part}" for part, scenes in one["scenes"].items())
    steps = round(one["steps"] / length)
    return f"{steps} steps from {one['base']}, {scenes}, {sampling['steps']} sampling steps, version {one['version']}"


def _column(one: Written, metric: str, part: str) -> dict[str, float | None]:
    return {scene: numbers[metric] for scene, numbers in one["scenes"][part].items()}
