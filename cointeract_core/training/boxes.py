"""Boxes of a training row: keys in frames or in latents, and what is wrong with them."""

from __future__ import annotations

import json
import math
from typing import Any

from ..constants import BOX_FIRST_FRAME, TEMPORAL_STRIDE
from ..shapes import VideoSize
from .masks import HANDS, KEY_PREFIX, read_boxes

BOX_PROBLEM_LIMIT = 3  # frames an error names


def in_frames(boxes: dict[str, Any], latents: int) -> tuple[dict[str, Any], bool]:
    """The boxes with keys that count frames, and whether they counted latents before.

    The authors' program reads frames 2, 6, ... 78; their README speaks of latents 0 to 19.  Keys of the first kind all
    leave 2 when divided by 4; others below the number of latents can only be of the second.

    Args:
        latents: of the clip, at most.
    """
    numbers = {key: number for key in boxes if (number := frame_number(key)) is not None}
    of_frames = all(number % TEMPORAL_STRIDE == BOX_FIRST_FRAME for number in numbers.values())
    if of_frames or not numbers or max(numbers.values()) >= latents:
        return boxes, False
    shifted = {key: f"{KEY_PREFIX}{number * TEMPORAL_STRIDE + BOX_FIRST_FRAME}" for key, number in numbers.items()}
    return {shifted.get(key, key): value for key, value in boxes.items()}, True


def read_cell(text: str | None, name: str, latents: int) -> tuple[str | None, dict[str, Any], bool]:
    """A cell of boxes: its text with keys that count frames, the boxes, and whether they counted latents before.

    Raises:
        InputError: text that is no JSON, or JSON of another form.
    """
    boxes, converted = in_frames(read_boxes(text, name), latents)
    return (json.dumps(boxes) if converted else text), boxes, converted


def frame_number(key: str) -> int | None:
    """Number of ``frame_<n>``; None for other keys."""
    if not key.startswith(KEY_PREFIX):
        return None
    digits = key.split("_")[1]
    return int(digits) if digits.isdecimal() else None


def box_problems(boxes: dict[str, Any], source: VideoSize, latents: int) -> list[str]:
    """One sentence for each kind of mistake.

    Args:
        boxes: with keys that count frames.
        source: of the video they were drawn on.
        latents: of the clip.
    """
    if not boxes:
        return []
    inside = {key: value for key, value in boxes.items() if _latent(key, latents) is not None}
    if not inside:
        return [
            f"its keys are {_some(boxes)}, but frames of the clip such as frame_2 to frame_{4 * latents - 2} are "
            "expected; name the frames the boxes were drawn on."
        ]
    kinds: dict[str, list[str]] = {}
    for key, value in inside.items():
        for box in _listed(value):
            kind = _mistake(box, source)
            if kind is not None:
                kinds.setdefault(kind, []).append(key)
    return [f"{_some(keys)} {kind}" for kind, keys in kinds.items()]


def _latent(key: str, latents: int) -> int | None:
    number = frame_number(key)
    latent = None if number is None else (number - BOX_FIRST_FRAME) // TEMPORAL_STRIDE
    return latent if latent is not None and 0 <= latent < latents else None


def _listed(value: Any) -> list[Any]:
    candidates = [value.get(hand) for hand in HANDS] if isinstance(value, dict) else [value]
    return [box for box in candidates if box not in (None, [], "")]


def _mistake(box: Any, source: VideoSize) -> str | None:
    numbers = isinstance(box, list) and len(box) == 4 and all(_is_number(side) for side in box)
    if not numbers:
        return f"holds {box}, but four numbers x1, y1, x2, y2 are expected; correct the box or take it out."
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return f"holds {box}, whose second corner is not right of and below the first; swap the corners."
    if right <= 0 or bottom <= 0 or left >= source.width or top >= source.height:
        return (
            f"holds {box}, outside of the video's {source}; correct it, or give the size it was drawn on in width and "
            "height."
        )
    return None


def _is_number(side: Any) -> bool:
    return isinstance(side, int | float) and not isinstance(side, bool) and math.isfinite(side)


def _some(keys: Any) -> str:
    listed = list(keys)
    rest = len(listed) - BOX_PROBLEM_LIMIT
    return ", ".join(listed[:BOX_PROBLEM_LIMIT]) + (f" and {rest} more" if rest > 0 else "")
