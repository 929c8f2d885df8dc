"""Boxes of one cell of the table: read from its text once, and typed from there on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ...constants import BOX_FIRST_FRAME, TEMPORAL_STRIDE
from ...errors import InputError, shown

KEY_PREFIX = "frame_"
HANDS = ("l_h", "r_h")  # boxes of objects are not used
FARTHEST = 1e9  # pixels; what is meant for infinity lies beyond
EXAMPLE = '{"frame_2": [x1, y1, x2, y2]}'


class Box(NamedTuple):
    """Four numbers: corners in pixels of the video they were drawn on, once `box_forms` has seen to other forms."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def upright(self) -> bool:
        """Whether the second corner lies right of and below the first."""
        return self.right > self.left and self.bottom > self.top


@dataclass(frozen=True, slots=True)
class NoBox:
    """What stands in the place of a box and is none: nothing, or a mistake."""

    value: object


@dataclass(frozen=True, slots=True)
class Hands:
    """Boxes of a frame by side (`HANDS`), among whatever else is named there; of that nothing is a `Box`."""

    named: Mapping[str, Box | NoBox]

    @property
    def both(self) -> list[Box | NoBox]:
        """What is named as a hand, the left one first."""
        return [self.named[side] for side in HANDS if side in self.named]


Entry: TypeAlias = Box | Hands | NoBox
Boxes: TypeAlias = Mapping[str, Entry]  # of a cell, by its keys in their order: frames, and what is never looked at


def read_boxes(text: object, name: str) -> Boxes:
    """The boxes of one cell, by frame.

    Args:
        text: JSON, ``{"frame_2": [x1, y1, x2, y2], ...}`` or ``{"frame_2": {"l_h": [...], "r_h": [...]}, ...}``; empty
            or None for no boxes.
        name: of the column, for errors.

    Raises:
        InputError: something else than text, text that is no JSON, or JSON of another form.
    """
    if text is None or text == "":
        return {}
    if not isinstance(text, str):
        raise InputError(
            f"{name} holds {shown(text)}, but text such as {EXAMPLE} is expected; write {{}} for no boxes."
        )
    try:
        cell = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long and lists too deep
        place = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{name} is not valid JSON{place}, but {EXAMPLE} is expected; correct the cell.") from error
    if cell is None or cell == []:
        return {}
    if not isinstance(cell, dict):
        raise InputError(f"{name} holds a JSON {type(cell).__name__}, but {EXAMPLE} is expected; correct the cell.")
    return typed_boxes(cell)


def typed_boxes(cell: Mapping[str, object]) -> Boxes:
    """A cell's JSON with its boxes as such; nothing is refused, and nothing is lost."""

    def entry(value: object) -> Entry:
        if isinstance(value, dict):
            return Hands({side: _box(one) if side in HANDS else NoBox(one) for side, one in value.items()})
        return _box(value)

    return {key: entry(value) for key, value in cell.items()}


def plain(entry: Entry) -> object:
    """An entry as JSON has it."""
    if isinstance(entry, Hands):
        return {side: plain(one) for side, one in entry.named.items()}
    return list(entry) if isinstance(entry, Box) else entry.value


def boxes_text(boxes: Boxes | None) -> str:
    """Boxes as JSON, None for an empty cell: what a run that is resumed compares."""
    return str(None) if boxes is None else json.dumps({key: plain(entry) for key, entry in boxes.items()})


def frame_number(key: str) -> int | None:
    """Number of ``frame_<n>``; anything after a further underscore is ignored, other keys are not frames."""
    if not key.startswith(KEY_PREFIX):
        return None
    try:
        return int(key.split("_")[1])
    except ValueError:
        return None


def key_latent(key: str, latents: int) -> int | None:
    """Latent of ``frame_<n>``; None for other keys and for frames outside of a clip of so many latents."""
    number = frame_number(key)
    latent = None if number is None else (number - BOX_FIRST_FRAME) // TEMPORAL_STRIDE
    return latent if latent is not None and 0 <= latent < latents else None


def drawn_on(latent: int) -> int:
    """The frame of a latent that its boxes are drawn on."""
    return latent * TEMPORAL_STRIDE + BOX_FIRST_FRAME


def _box(value: object) -> Box | NoBox:
    if isinstance(value, list) and len(value) == 4 and all(map(_is_side, value)):
        return Box(*value)
    return NoBox(value)


def _is_side(value: object) -> bool:
    """Whether a value can be a side of a box: a number that is neither infinite nor close to it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST  # and no NaN
