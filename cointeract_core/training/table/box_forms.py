"""Boxes in other forms than corners in pixels: recognised where a whole cell leaves no doubt, and converted.

What could be read in two ways is left as it is, and `boxes.box_problems` names it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...shapes import VideoSize
from .box_cells import Box, Boxes, Entry, Hands, NoBox

FRACTIONS_TO = 1.5  # boxes that reach beyond the picture are seen up to there; in pixels nothing is so small
BEYOND = 0.1  # of a side: detectors guess that much of what the picture cuts off
STEADIER = 0.5  # a hand keeps its size better than its place; the right reading is steadier than others by this much
DECIMALS = 6  # of a pixel that are kept: products of fractions miss whole numbers by less
Reading: TypeAlias = Callable[[Box], Box]  # from four numbers as they were written to corners


def in_corners(boxes: Boxes, source: VideoSize | None) -> tuple[Boxes, list[str]]:
    """The boxes of a cell as corners in pixels, and a note for each conversion.

    Args:
        boxes: by frame, each one box or those of the hands.
        source: of the video they were drawn on; None where it is not known.
    """
    series = _series(boxes)
    every = [box for boxes_of in series for box in boxes_of]
    if source is None or not every:
        return boxes, []
    sides = (source.width, source.height) * 2
    notes = []
    fractions = all(abs(side) <= FRACTIONS_TO for box in every for side in box) and any(map(any, every))
    if fractions:
        notes.append(f"boxes in fractions of the picture, read as such ({source}).")

    def in_pixels(box: Box) -> Box:
        return Box(*(side * whole for side, whole in zip(box, sides, strict=True))) if fractions else box

    series = [[in_pixels(box) for box in boxes_of] for boxes_of in series]
    form = _form(series, source, centres=fractions)
    if form is not None:
        notes.append(form[0])
    if not notes:
        return boxes, []

    def in_order(box: Box) -> Box:
        box = in_pixels(box)
        return Box(*(round(side, DECIMALS) for side in (box if form is None else form[1](box))))

    return _each(boxes, in_order), notes


def reaches_beyond(box: Box, source: VideoSize) -> bool:
    """Whether a box in corners reaches farther out of the picture than detectors guess, or lies outside of it."""
    across, down = source.width * BEYOND, source.height * BEYOND
    out = box.right <= 0 or box.bottom <= 0 or box.left >= source.width or box.top >= source.height
    return (
        out
        or min(box.left + across, box.top + down) < 0
        or box.right > source.width + across
        or box.bottom > source.height + down
    )


def _form(series: list[list[Box]], source: VideoSize, *, centres: bool) -> tuple[str, Reading] | None:
    """A note and a reading that fits every box, where corners do not fit and no other reading is as good."""
    every = [box for boxes in series for box in boxes]
    if all(box.upright for box in every):
        return None
    readings: list[tuple[str, Reading]] = [
        ("boxes as x, y, width, height, read as such.", _of_sizes),
        ("boxes with swapped corners, put in order.", _of_swapped),
    ]
    if centres:  # of tools that write fractions, some count from the centre
        readings.append(("boxes as centre, width, height, read as such.", _of_centres))
    fitting = [
        (note, read)
        for note, read in readings
        if all(read(box).upright and not reaches_beyond(read(box), source) for box in every)
    ]
    ranked = sorted(fitting, key=lambda reading: _unsteadiness(series, reading[1]))
    if len(ranked) < 2:
        return ranked[0] if ranked else None
    best, next_best = (_unsteadiness(series, read) for _, read in ranked[:2])
    return ranked[0] if best < next_best * STEADIER else None


def _unsteadiness(series: Sequence[Sequence[Box]], read: Reading) -> float:
    """How much widths and heights change over the frames, as a reading has them."""
    sizes = [[(box.right - box.left, box.bottom - box.top) for box in map(read, boxes)] for boxes in series]
    return float(sum(statistics.pstdev(column) for boxes in sizes for column in zip(*boxes, strict=True)))


def _of_sizes(box: Box) -> Box:
    left, top, width, height = box
    return Box(left, top, left + width, top + height)


def _of_swapped(box: Box) -> Box:
    left, top, right, bottom = box
    return Box(min(left, right), min(top, bottom), max(left, right), max(top, bottom))


def _of_centres(box: Box) -> Box:
    across, down, width, height = box
    return Box(across - width / 2, down - height / 2, across + width / 2, down + height / 2)


def _series(boxes: Boxes) -> list[list[Box]]:
    """Boxes of the cell by what they are drawn on: one thing, or each hand; what is no box is left out."""
    named: dict[str, list[Box]] = {}
    for entry in boxes.values():
        for name, box in entry.named.items() if isinstance(entry, Hands) else [("", entry)]:
            if isinstance(box, Box):
                named.setdefault(name, []).append(box)
    return list(named.values())


def _each(boxes: Boxes, change: Reading) -> Boxes:
    def one(box: Box | NoBox) -> Box | NoBox:
        return change(box) if isinstance(box, Box) else box

    def changed(entry: Entry) -> Entry:
        if isinstance(entry, Hands):
            return Hands({name: one(box) for name, box in entry.named.items()})
        return one(entry)

    return {key: changed(entry) for key, entry in boxes.items()}
