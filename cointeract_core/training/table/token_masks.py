"""Face and hand boxes of a training video as masks over the target's tokens (BB), and what the router learns."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...constants import (
    BOX_FIRST_FRAME,
    PIXELS_PER_TOKEN,
    ROUTER_BASE,
    ROUTER_CLASSES,
    ROUTER_FACE,
    ROUTER_HAND,
    ROUTER_WEIGHTS,
    TEMPORAL_STRIDE,
)
from ...errors import InputError, shown
from ...shapes import VideoSize

log = logging.getLogger("cointeract")

KEY_PREFIX = "frame_"
HANDS = ("l_h", "r_h")  # boxes of objects are not used
FARTHEST = 1e9  # pixels; what is meant for infinity lies beyond
Box = tuple[float, float, float, float]
EXAMPLE = '{"frame_2": [x1, y1, x2, y2]}'


@dataclass(frozen=True, slots=True)
class TokenMasks:
    """Which target tokens show a face or a hand, `[frames * tokens per frame]` uint8 each."""

    face: Tensor
    hand: Tensor


def token_masks(
    face: str | None, hand: str | None, frames: int, size: VideoSize, source: VideoSize | None = None
) -> TokenMasks:
    """Masks from the two columns of a training table.

    Args:
        face: JSON, ``{"frame_2": [x1, y1, x2, y2], ...}`` with boxes in pixels; empty for none.
        hand: JSON, ``{"frame_2": {"l_h": [...], "r_h": [...]}, ...}``; a box in place of the hands is read as one.
        frames: target latents.
        size: of the video the model sees.
        source: of the video the boxes were drawn on, which is scaled up to fill `size` and cut from the centre; None
            where the boxes already are in the pixels of `size`.

    Raises:
        InputError: text that is no JSON, JSON of another form, or a box with something else than numbers.
    """
    return TokenMasks(
        *(_mask(read_boxes(text, name), name, frames, size, source) for name, text in (("face", face), ("hand", hand)))
    )


def read_boxes(text: str | None, name: str) -> dict[str, Any]:
    """The boxes of one cell, by frame.

    Raises:
        InputError: see `token_masks`.
    """
    if text is None or text == "":
        return {}
    if not isinstance(text, str):
        raise InputError(
            f"{name} holds {shown(text)}, but text such as {EXAMPLE} is expected; write {{}} for no boxes."
        )
    try:
        boxes = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long and lists too deep
        place = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{name} is not valid JSON{place}, but {EXAMPLE} is expected; correct the cell.") from error
    if boxes is None or boxes == []:
        return {}
    if not isinstance(boxes, dict):
        raise InputError(f"{name} holds a JSON {type(boxes).__name__}, but {EXAMPLE} is expected; correct the cell.")
    return boxes


def router_targets(masks: TokenMasks) -> Tensor:
    """What the router should answer, `[N, 3]` uint8 in the order base, hand, face; a hand before a face is a hand."""
    hand, face = masks.hand.bool(), masks.face.bool()
    targets = torch.zeros(len(hand), ROUTER_CLASSES, dtype=torch.uint8)
    targets[hand, ROUTER_HAND] = 1
    targets[face & ~hand, ROUTER_FACE] = 1
    targets[~face & ~hand, ROUTER_BASE] = 1
    return targets


def router_weights(masks: TokenMasks, class_weights: Sequence[float] = ROUTER_WEIGHTS) -> Tensor:
    """Weight of each token in the router's loss, `[N]` float32.

    Args:
        class_weights: of base, hand and face.
    """
    return torch.tensor(class_weights)[router_targets(masks).argmax(dim=1)]


def placed_boxes(
    boxes: dict[str, Any], name: str, frames: int, size: VideoSize, source: VideoSize | None = None
) -> Iterator[tuple[int, Box]]:
    """Each box of a cell: its latent, and left, top, right, bottom in pixels of `size`.

    Args:
        boxes: from `read_boxes`.
        name, frames, size, source: as in `token_masks`.

    Raises:
        InputError: a box with something else than numbers.
    """
    for key, value in boxes.items():
        number = frame_number(key)
        latent = None if number is None else latent_of(number)
        if latent is None or not 0 <= latent < frames:
            continue
        for box in _boxes_of(value, name, key):
            placed = tuple(box) if source is None else _place(box, source, size)
            if placed is not None:
                yield latent, placed


def _mask(boxes: dict[str, Any], name: str, frames: int, size: VideoSize, source: VideoSize | None) -> Tensor:
    rows, columns = size.height // PIXELS_PER_TOKEN, size.width // PIXELS_PER_TOKEN
    mask = torch.zeros(frames, rows, columns, dtype=torch.uint8)
    for latent, box in placed_boxes(boxes, name, frames, size, source):
        left, top, right, bottom = (int(side / PIXELS_PER_TOKEN) for side in box)
        across = slice(_within(left, columns), _within(right, columns) + 1)
        down = slice(_within(top, rows), _within(bottom, rows) + 1)
        mask[latent, down, across] = 1
    return mask.flatten()


def frame_number(key: str) -> int | None:
    """Number of ``frame_<n>``; anything after a further underscore is ignored, other keys are not frames."""
    if not key.startswith(KEY_PREFIX):
        return None
    try:
        return int(key.split("_")[1])
    except ValueError:
        return None


def is_side(value: Any) -> bool:
    """Whether a value can be a side of a box: a number that is neither infinite nor close to it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST  # and no NaN


def is_box(value: Any) -> bool:
    """Whether a value is four sides, in whatever order and unit."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_side, value))


def latent_of(frame: int) -> int:
    """Latent whose boxes are drawn on a frame."""
    return (frame - BOX_FIRST_FRAME) // TEMPORAL_STRIDE


def _boxes_of(value: Any, name: str, key: str) -> list[list[float]]:
    """The boxes of one frame: one, or those of the hands."""
    candidates = [value.get(hand) for hand in HANDS] if isinstance(value, dict) else [value]
    boxes = []
    for box in candidates:
        if not box:
            continue
        if not isinstance(box, list) or len(box) != 4:
            log.warning("%s of %s is left out: %s is not a box [x1, y1, x2, y2]", name, key, shown(box))
            continue
        if not all(map(is_side, box)):
            raise InputError(
                f"{name} of {shown(key)} is {shown(box)}, but four numbers x1, y1, x2, y2 are expected; correct it."
            )
        boxes.append(box)
    return boxes


def _place(box: list[float], source: VideoSize, size: VideoSize) -> Box | None:
    """A box after the video was scaled and cut to `size`, in its pixels; None where nothing of it is left."""
    scale = max(size.width / source.width, size.height / source.height)
    cut_x = (round(source.width * scale) - size.width) / 2
    cut_y = (round(source.height * scale) - size.height) / 2
    left, right = box[0] * scale - cut_x, box[2] * scale - cut_x
    top, bottom = box[1] * scale - cut_y, box[3] * scale - cut_y
    if right < 0 or bottom < 0 or left > size.width or top > size.height:
        return None
    return left, top, right, bottom


def _within(cell: int, cells: int) -> int:
    return min(max(cell, 0), cells - 1)
