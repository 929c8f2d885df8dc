"""The curves as a picture: losses, router accuracy, learning rate, gradient norm, memory and seconds of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from ..errors import InputError
from ..files import replaced
from .palette import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    GRID,
    INK,
    LIME,
    ORANGE,
    PANEL,
    PAPER,
    PINK,
    RED,
    TEAL,
    VIOLET,
    YELLOW,
    Colour,
    as_image,
    mixed,
)

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Points: TypeAlias = list[tuple[float, float]]

WIDTH, HEIGHT, GAP = 1600, 1000, 16
FINER = 3  # lines are drawn this much larger and scaled down, so that they are smooth
TITLE, SMALL = 20, 15  # sizes of the letters
LEFT, RIGHT, HEAD, FOOT = 72, 26, 76, 40  # room around the plot inside a panel
FEW = 30  # a curve with fewer values is drawn as it is, with dots
SMOOTHING = 0.95  # largest weight of what came before in the heavy line
SMOOTHED_SHARE = FEW  # it covers one in this many steps of a short run, so that it does not lag behind
LOG_SPAN = 50.0  # losses that span more than this factor get a logarithmic axis


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a panel: its column in the table, its name in the legend and its colour."""

    column: str
    label: str
    colour: Colour


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot: what it shows, where it is, and how.

    Attributes:
        fixed: the range the axis always has.
        may_be_log: losses that span much get a logarithmic axis.
        noisy: a running mean helps the eye.
    """

    title: str
    curves: tuple[Curve, ...]
    box: tuple[int, int, int, int]
    fixed: tuple[float, float] | None = None
    may_be_log: bool = False
    noisy: bool = True


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from values to places; `low` and `high` are what the axis shows."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies."""
        value, low, high = (math.log10(max(v, 1e-300)) if self.log else v for v in (value, self.low, self.high))
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def _panels() -> tuple[Panel, ...]:
    upper = round(HEIGHT * 0.6)
    split = round(WIDTH * 0.62)
    quarter = (WIDTH - 5 * GAP) / 4
    small = [
        (round(GAP + n * (quarter + GAP)), upper, round((n + 1) * (quarter + GAP)), HEIGHT - GAP) for n in range(4)
    ]
    losses = (
        Curve("loss", "total", INK),
        Curve("rgb", "RGB", BLUE),
        Curve("hoi", "HOI", ORANGE),
        Curve("router", "router", GREEN),
        Curve("validation", "validation", PINK),
    )
    accuracies = (Curve("face_accuracy", "face", VIOLET), Curve("hand_accuracy", "hand", YELLOW))
    return (
        Panel("Loss", losses, (GAP, GAP, split, upper - GAP), may_be_log=True),
        Panel("Router accuracy", accuracies, (split + GAP, GAP, WIDTH - GAP, upper - GAP), fixed=(0.0, 1.0)),
        Panel("Learning rate", (Curve("learning_rate", "", TEAL),), small[0], noisy=False),
        Panel("Gradient norm", (Curve("gradient_norm", "", RED),), small[1]),
        Panel("Memory, GB", (Curve("memory_gb", "", LIME),), small[2], noisy=False),
        Panel("Seconds per step", (Curve("seconds", "", GREY),), small[3]),
    )


def draw_curves(steps: Sequence[int], columns: Mapping[str, Sequence[float | None]]) -> Tensor:
    """Draw every curve, the values faint and their running mean heavy.

    Args:
        steps: rising.
        columns: values by the names in `curves.COLUMNS`, finite or None, as many as steps.

    Returns:
        `[1, H, W, 3]` in 0-1.

    Raises:
        InputError: a column has not as many values as there are steps.
    """
    from PIL import Image, ImageDraw

    for name, values in columns.items():
        if len(values) != len(steps):
            raise InputError(f"The curve {name} has {len(values)} values, but {len(steps)} steps were given.")
    points = {
        name: [(float(step), value) for step, value in zip(steps, values, strict=True) if value is not None]
        for name, values in columns.items()
    }
    large = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
    axes = [_draw_panel(ImageDraw.Draw(large), panel, points, steps) for panel in _panels()]
    picture = large.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    draw = ImageDraw.Draw(picture)
    for panel, (across, up) in zip(_panels(), axes, strict=True):
        _write_labels(draw, panel, points, across, up)
    return as_image(picture)


def save_picture(picture: Tensor, path: Path) -> None:
    """Write `[1, H, W, 3]` as a PNG, beside its place first."""
    from PIL import Image

    with replaced(path) as done:
        Image.fromarray(picture[0].mul(255).round().to(torch.uint8).numpy()).save(done.beside, format="PNG")


def _draw_panel(draw: ImageDraw, panel: Panel, points: Mapping[str, Points], steps: Sequence[int]) -> tuple[Axis, Axis]:
    """Draw a panel's ground, grid and lines in the large picture; its axes are for the small one."""
    left, top, right, bottom = panel.box
    shown = [points.get(curve.column, []) for curve in panel.curves]
    last = float(max(steps[-1], 2)) if steps else 1.0
    across = Axis(0.0 if not steps else min(1.0, steps[0]), last, left + LEFT, right - RIGHT)
    up = _value_axis(panel, shown, bottom - FOOT, top + HEAD)
    draw.rounded_rectangle([n * FINER for n in panel.box], radius=10 * FINER, fill=PANEL)
    for tick in ticks(up) if any(shown) else ():
        y = up.place(tick) * FINER
        draw.line((across.begin * FINER, y, across.end * FINER, y), fill=GRID, width=FINER)
    noisy = [panel.noisy and len(line) >= FEW for line in shown]
    for curve, line, many in zip(panel.curves, shown, noisy, strict=True):
        if many:
            _draw_line(draw, line, across, up, mixed(curve.colour, PANEL, 0.32), 1.2)
    for curve, line, many in reversed(list(zip(panel.curves, shown, noisy, strict=True))):  # the first lies on top
        heavy = smooth(line, min(SMOOTHING, 1 - SMOOTHED_SHARE / len(line))) if many else line
        _draw_line(draw, heavy, across, up, curve.colour, 2.4)
        if len(line) < FEW:
            _draw_dots(draw, line, across, up, curve.colour)
    return across, up


def _value_axis(panel: Panel, shown: Sequence[Points], begin: float, end: float) -> Axis:
    values = [value for line in shown for _, value in line]
    if panel.fixed is not None or not values:
        low, high = panel.fixed or (0.0, 1.0)
        return Axis(low, high, begin, end)
    low, high = min(values), max(values)
    if panel.may_be_log and low > 0 and high / low > LOG_SPAN:
        return Axis(low / 1.15, high * 1.15, begin, end, log=True)
    if low >= 0:
        return Axis(0.0, high * 1.06 or 1.0, begin, end)
    room = (high - low) * 0.06 or 0.5
    return Axis(low - room, high + room, begin, end)


def _draw_line(draw: ImageDraw, line: Points, across: Axis, up: Axis, colour: Colour, width: float) -> None:
    if len(line) < 2:
        return
    kept = thin(line, max(round(across.end - across.begin), 1))
    draw.line(
        [(across.place(x) * FINER, up.place(y) * FINER) for x, y in kept],
        fill=colour,
        width=round(width * FINER),
        joint="curve",
    )


def _draw_dots(draw: ImageDraw, line: Points, across: Axis, up: Axis, colour: Colour) -> None:
    radius = 3.2 * FINER
    for x, y in line:
        a, b = across.place(x) * FINER, up.place(y) * FINER
        draw.ellipse((a - radius, b - radius, a + radius, b + radius), fill=colour)


def _write_labels(draw: ImageDraw, panel: Panel, points: Mapping[str, Points], across: Axis, up: Axis) -> None:
    """Title, numbers of the axes and legend."""
    from PIL import ImageFont

    title, small = ImageFont.load_default(size=TITLE), ImageFont.load_default(size=SMALL)
    left, top, right, bottom = panel.box
    draw.text((left + 18, top + 12), panel.title, fill=INK, font=title)
    shown = [(curve, points[curve.column][-1][1]) for curve in panel.curves if points.get(curve.column)]
    if not shown:
        draw.text(((left + right) / 2, (top + HEAD + bottom) / 2), "no values", fill=FAINT, font=small, anchor="mm")
        return
    for tick in ticks(up):
        draw.text((across.begin - 10, up.place(tick)), number(tick), fill=FAINT, font=small, anchor="rm")
    for tick in filter(float.is_integer, ticks(across, max(3, round((across.end - across.begin) / 110)))):
        draw.text((across.place(tick), bottom - FOOT + 10), number(tick), fill=FAINT, font=small, anchor="mt")
    draw.text((left + 18, bottom - FOOT + 10), "step", fill=FAINT, font=small, anchor="lt")
    x = left + 18
    for curve, latest in shown:
        draw.rounded_rectangle((x, top + 46, x + 18, top + 50), radius=2, fill=curve.colour)
        x += 26
        for text, ink in ((curve.label, FAINT), (number(latest), INK)):
            draw.text((x, top + 48), text, fill=ink, font=small, anchor="lm")
            x += round(draw.textlength(text, font=small)) + (7 if text else 0)
        x += 18


def ticks(axis: Axis, count: int = 5) -> list[float]:
    """Round values inside an axis, about `count` of them: 1, 2 or 5 times a power of ten."""
    if axis.log:
        powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
        wide = math.log10(axis.high / axis.low) > 3
        values = [digit * 10.0**power for power in powers for digit in ((1,) if wide else (1, 2, 5))]
        return [value for value in values if axis.low <= value <= axis.high]
    raw = (axis.high - axis.low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    spacing = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(axis.low / spacing - 1e-9), math.floor(axis.high / spacing + 1e-9)
    return [float(f"{n * spacing:.12g}") for n in range(first, last + 1)]


def number(value: float) -> str:
    """A number as short as it may be: `0.25`, `1200`, `1e-05`."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def smooth(line: Points, weight: float) -> Points:
    """Running mean in which the past counts `weight`, without a pull towards the first value."""
    mean = total = 0.0
    means = []
    for x, y in line:
        mean = weight * mean + (1 - weight) * y
        total = weight * total + (1 - weight)
        means.append((x, mean / total))
    return means


def thin(line: Points, buckets: int) -> Points:
    """At most two points per bucket, the smallest and the largest, so that no spike is lost."""
    if len(line) <= 2 * buckets:
        return line
    kept: Points = []
    for n in range(buckets):
        part = line[n * len(line) // buckets : (n + 1) * len(line) // buckets]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept
