"""Plots of the proof: means with 95 % intervals and the single seeds, in the pack's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cointeract_pack.cointeract_core.drawing.palette import (
    BLUE,
    FAINT,
    GREY,
    GRID,
    INK,
    ORANGE,
    PANEL,
    PAPER,
    PINK,
    Colour,
)
from cointeract_pack.cointeract_core.drawing.plot import Axis, number, ticks

from ..cells import CELLS
from ..claims import CLAIMS, OF_ROWS
from .results import Results
from .statistics import Interval

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw

WIDTH, GAP, LINE = 1600, 16, 30  # pixels: of a page, between panels, of a row
LABELS, RIGHT, HEAD, FOOT = 196, 30, 56, 40  # room around a panel's rows
TITLE, SMALL = 19, 15  # sizes of the letters
COLUMNS = 3
COLOURS = 64  # of a png
DOT, SEED_DOT, BAR = 6, 3, 3  # radii, and the width of an interval's line
MORE = 0.08  # of the range, left free on both sides
SAME = 1e-9  # values that lie as near together, relative to their size, are one
# title of each panel, its measure, and which way is better
MEASURES = (
    ("Hands: difference from renders, less is better", "hands"),
    ("Contact error, pixels, less is better", "contact"),
    ("Distance, signed, pixels, 0 is right", "signed"),
    ("Mouth and loudness, correlation, more is better", "mouth"),
    ("Jerk, pixels per frame cubed", "jerk"),
    ("Product found, share, more is better", "product"),
    ("Flow loss of held-out rows, less is better", "flow"),
    ("Router, hand tokens, share named rightly", "hand_accuracy"),
    ("Router, face tokens, share named rightly", "face_accuracy"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a panel; None where nothing was measured."""

    label: str
    found: Interval | None
    colour: Colour


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot: rows one under the other over one axis.

    Attributes:
        zero: the axis has 0 in it, with a line.
    """

    title: str
    lines: tuple[Line, ...]
    zero: bool = False

    @property
    def height(self) -> int:
        """Pixels."""
        return HEAD + LINE * len(self.lines) + FOOT


def draw_cells(results: Results) -> Picture:
    """A panel for each measure, a row for each cell."""
    panels = []
    for title, name in MEASURES:
        lines = tuple(Line(cell, results.of_any(cell, name), _colour(cell)) for cell in CELLS)
        if name in OF_ROWS[1:]:  # only models with experts have a router
            lines = tuple(line for line in lines if CELLS[line.label].experts)
        panels.append(Panel(title, lines))
    return _page(panels, COLUMNS)


def draw_claims(results: Results) -> Picture:
    """A panel for each claim, a row for each comparison; left of the line the claim's cell is better."""
    panels = []
    for claim in CLAIMS:
        found = [(against, results.difference(claim, against).found) for against in claim.against]
        lines = tuple(Line(against, one, BLUE) for against, one in found)
        panels.append(Panel(f"{claim.cell} less each of these, {claim.metric}; below 0 is better", lines, zero=True))
    return _page(panels, len(panels))


def save(picture: Picture, path: Path) -> None:
    """Write a png with few colours, beside its place first."""
    from PIL import Image

    beside = path.with_name(f".{path.name}.part")
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(beside, format="PNG", optimize=True)
    beside.replace(path)


def _colour(cell: str) -> Colour:
    if not CELLS[cell].experts:
        return GREY
    return PINK if CELLS[cell].placebo else ORANGE if CELLS[cell].hoi != "off" else BLUE


def _page(panels: Sequence[Panel], columns: int) -> Picture:
    from PIL import Image, ImageDraw

    wide = (WIDTH - GAP * (columns + 1)) // columns
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    tall = [max(panel.height for panel in row) for row in rows]
    page = Image.new("RGB", (WIDTH, GAP + sum(height + GAP for height in tall)), PAPER)
    draw, top = ImageDraw.Draw(page), GAP
    for row, height in zip(rows, tall, strict=True):
        for column, panel in enumerate(row):
            left = GAP + column * (wide + GAP)
            _draw_panel(draw, panel, (left, top, left + wide, top + height))
        top += height + GAP
    return page


def _draw_panel(draw: ImageDraw, panel: Panel, box: tuple[int, int, int, int]) -> None:
    from PIL import ImageFont

    title, small = ImageFont.load_default(size=TITLE), ImageFont.load_default(size=SMALL)
    left, top, right, _ = box
    draw.rounded_rectangle(box, radius=10, fill=PANEL)
    draw.text((left + GAP, top + 14), panel.title, fill=INK, font=title)
    axis = _axis(panel, left + LABELS, right - RIGHT)
    foot = top + HEAD + LINE * len(panel.lines)
    for tick in () if axis is None else ticks(axis, 4):
        x = axis.place(tick) if axis is not None else 0.0
        draw.line((x, top + HEAD, x, foot), fill=FAINT if panel.zero and tick == 0 else GRID, width=1)
        draw.text((x, foot + 8), number(tick), fill=FAINT, font=small, anchor="mt")
    for place, line in enumerate(panel.lines):
        y = top + HEAD + LINE * place + LINE // 2
        draw.text((left + LABELS - 14, y), line.label, fill=FAINT, font=small, anchor="rm")
        if line.found is None or axis is None:
            draw.text((left + LABELS + 6, y), "not run", fill=GRID, font=small, anchor="lm")
        else:
            _draw_line(draw, axis, y, line.found, line.colour)


def _draw_line(draw: ImageDraw, axis: Axis, y: int, found: Interval, colour: Colour) -> None:
    if math.isfinite(found.half):
        draw.line((axis.place(found.low), y, axis.place(found.high), y), fill=colour, width=BAR)
    for value in found.values:
        _dot(draw, axis.place(value), y, SEED_DOT, INK)
    _dot(draw, axis.place(found.mean), y, DOT, colour)


def _dot(draw: ImageDraw, x: float, y: float, radius: int, colour: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=PANEL)


def _axis(panel: Panel, begin: float, end: float) -> Axis | None:
    """An axis that holds every value and interval of a panel; None where there are none."""
    known = [line.found for line in panel.lines if line.found is not None]
    ends = [value for one in known for value in (one.low, one.high, *one.values) if math.isfinite(value)]
    if not ends:
        return None
    ends += [0.0] if panel.zero else []
    low, high = min(ends), max(ends)
    same = high - low <= SAME * max(abs(low), abs(high))
    room = (abs(high) or 1.0) * MORE if same else (high - low) * MORE
    return Axis(low - room, high + room, begin, end)
