"""Boxes of a training row: keys in frames or in latents, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

from ...constants import BOX_FIRST_FRAME, TEMPORAL_STRIDE
from ...errors import InputError, shown
from ...shapes import VideoSize
from .box_cells import HANDS, KEY_PREFIX, Box, Boxes, Entry, Hands, NoBox, drawn_on, frame_number, key_latent, plain
from .box_forms import reaches_beyond

BOX_PROBLEM_LIMIT = 3  # frames an error names
LONGEST_SHOWN = 60  # characters of a wrong box or key that an error shows
SMALLEST = 2  # pixels of a side; what is smaller is meant in another unit
IGNORED = ("obj",)  # boxes of objects are published, but not used


def count_latents(cells: Sequence[Boxes], latents: int) -> bool:
    """Whether the keys of a row's cells count latents, not frames.

    The authors' program reads frames 2, 6, ... 78; their README speaks of latents 0 to 19.  Keys of the first kind all
    leave 2 when divided by 4; others that are all below the number of latents can only be of the second.  All cells of
    a row are of the same kind.

    Args:
        latents: of the whole footage; boxes on each of its first frames would leave most of it without.
    """
    numbers = [number for boxes in cells for key in boxes if (number := frame_number(key)) is not None]
    of_frames = all(number % TEMPORAL_STRIDE == BOX_FIRST_FRAME for number in numbers)
    return bool(numbers) and not of_frames and min(numbers) >= 0 and max(numbers) < latents


def in_frames(boxes: Boxes) -> Boxes:
    """Boxes whose keys count latents, with keys that count frames."""
    numbers = {key: frame_number(key) for key in boxes}
    return {key if number is None else f"{KEY_PREFIX}{drawn_on(number)}": boxes[key] for key, number in numbers.items()}


def in_time(boxes: Boxes, target: Sequence[int]) -> Boxes:
    """Boxes keyed by frames of a video that is resampled, keyed by the frames of the clip instead.

    Each latent takes the box drawn nearest to the moment its own would be drawn on, within its four frames.

    Args:
        target: source frame of each frame of the clip.

    Raises:
        InputError: none of the boxes lies within the clip.
    """
    numbers = {number: key for key in boxes if (number := frame_number(key)) is not None}
    reach = math.ceil((target[-1] - target[0]) / (len(target) - 1) * TEMPORAL_STRIDE / 2)
    placed = {key: entry for key, entry in boxes.items() if frame_number(key) is None}
    found = False
    for frame in range(BOX_FIRST_FRAME, len(target), TEMPORAL_STRIDE):
        nearest = min(numbers, key=partial(_apart, target[frame]), default=None)
        if nearest is not None and _apart(nearest, target[frame]) <= reach:
            placed[f"{KEY_PREFIX}{frame}"] = boxes[numbers[nearest]]
            found = True
    if numbers and not found:
        raise InputError(
            f"its keys are {_some(boxes)}, but frames of input_video from {KEY_PREFIX}{target[0]} to "
            f"{KEY_PREFIX}{target[-1]} are expected; name the frames the boxes were drawn on."
        )
    return placed


def _apart(one: int, other: int) -> int:
    return abs(one - other)


def box_problems(boxes: Boxes, source: VideoSize | None, latents: int, hands: bool = True) -> list[str]:
    """One sentence for each kind of mistake.

    Args:
        boxes: with keys that count frames.
        source: of the video they were drawn on; None where it is not known.
        latents: of the clip.
        hands: whether boxes may be named as those of hands.
    """
    inside = [key for key in boxes if key_latent(key, latents) is not None]
    if boxes and not inside:
        return [
            f"its keys are {_some(boxes)}, but frames of the clip such as frame_2 to frame_{drawn_on(latents - 1)} are "
            "expected; name the frames the boxes were drawn on."
        ]
    named = [key for key in inside if isinstance(boxes[key], Hands)]
    if named and not hands:
        return [f"{_some(named)} holds boxes of hands, but one box is expected; put them into hand_object."]
    kinds: dict[str, tuple[list[str], Box | NoBox]] = {}
    for key in inside:
        for box in _listed(boxes[key]):
            kind = _mistake(box, source)
            if kind is not None:
                kinds.setdefault(kind, ([], box))[0].append(key)
    return [kind.format(keys=_some(keys), box=_short(plain(box))) for kind, (keys, box) in kinds.items()]


def box_notes(boxes: Boxes, latents: int) -> list[str]:
    """What is not used of a cell without mistakes."""
    outside = [key for key in boxes if key_latent(key, latents) is None]
    return [f"{_some(outside)} not used: no frames of the clip's {latents} latents."] if outside else []


def _listed(entry: Entry) -> list[Box | NoBox]:
    """The boxes of a frame, or what stands in their place."""
    if not isinstance(entry, Hands):
        listed = [entry]
    else:
        strange = {name: plain(box) for name, box in entry.named.items() if name not in (*HANDS, *IGNORED)}
        listed = [NoBox(strange)] if strange else entry.both
    return [box for box in listed if isinstance(box, Box) or box.value not in (None, [], "")]


def _mistake(box: Box | NoBox, source: VideoSize | None) -> str | None:
    """A sentence with places for the frames and the first wrong box; None for a good box."""
    if isinstance(box, NoBox) and isinstance(box.value, dict):
        return "{keys} holds {box}, but boxes named l_h and r_h are expected; name the hands so."
    if isinstance(box, NoBox):
        return "{keys} holds {box}, but four numbers x1, y1, x2, y2 are expected; correct the box or take it out."
    if not box.upright:
        return (
            "{keys} holds {box}, but x2, y2 are expected right of and below x1, y1; swap the corners, or where these "
            "are x, y, width and height, write x2 and y2."
        )
    if box.right - box.left < SMALLEST and box.bottom - box.top < SMALLEST:
        return "{keys} holds {box}, which is a single pixel, but boxes in pixels are expected; write all in pixels."
    if source is not None and reaches_beyond(box, source):
        return (
            f"{{keys}} holds {{box}}, but boxes inside of {source} are expected; correct it, or give the size it was "
            "drawn on in width and height."
        )
    return None


def _short(value: object) -> str:
    return shown(value, LONGEST_SHOWN)


def _some(keys: Iterable[str]) -> str:
    listed = list(keys)
    rest = len(listed) - BOX_PROBLEM_LIMIT
    return ", ".join(_short(key) for key in listed[:BOX_PROBLEM_LIMIT]) + (f" and {rest} more" if rest > 0 else "")
