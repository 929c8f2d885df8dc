"""Face and hand boxes of a training video as masks over the target's tokens (BB), and what the router learns."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...constants import PIXELS_PER_TOKEN, ROUTER_BASE, ROUTER_CLASSES, ROUTER_FACE, ROUTER_HAND, ROUTER_WEIGHTS
from ...errors import InputError, shown
from ...shapes import VideoSize
from .box_cells import Box, Boxes, Entry, Hands, key_latent

log = logging.getLogger("cointeract")


@dataclass(frozen=True, slots=True)
class TokenMasks:
    """Which target tokens show a face or a hand, `[N]` uint8 each; N is the number of target tokens."""

    face: Tensor
    hand: Tensor


class PlacedBox(NamedTuple):
    """A box of one target latent, in pixels of the video the model sees."""

    latent: int
    left: float
    top: float
    right: float
    bottom: float


def token_masks(
    face: Boxes | None, hand: Boxes | None, latents: int, size: VideoSize, source: VideoSize | None = None
) -> TokenMasks:
    """Masks from the two columns of a training table.

    Args:
        face: boxes in pixels; None for none.
        hand: boxes of the hands; a box in place of the hands is read as one.
        latents: target latents.
        size: of the video the model sees.
        source: of the video the boxes were drawn on, which is scaled up to fill `size` and cut from the centre; None
            where the boxes already are in the pixels of `size`.

    Raises:
        InputError: a box with something else than numbers.
    """
    return TokenMasks(
        *(_mask(boxes or {}, name, latents, size, source) for name, boxes in (("face", face), ("hand", hand)))
    )


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
    boxes: Boxes, name: str, latents: int, size: VideoSize, source: VideoSize | None = None
) -> Iterator[PlacedBox]:
    """Each box of a cell where it lies in the video the model sees.

    Args:
        name: of the cell, for errors.
        latents, size, source: as in `token_masks`.

    Raises:
        InputError: a box with something else than numbers.
    """
    for key, entry in boxes.items():
        latent = key_latent(key, latents)
        if latent is None:
            continue
        for box in _boxes_of(entry, name, key):
            placed = PlacedBox(latent, *box) if source is None else _place(box, latent, source, size)
            if placed is not None:
                yield placed


def _mask(boxes: Boxes, name: str, latents: int, size: VideoSize, source: VideoSize | None) -> Tensor:
    mask = torch.zeros(latents, size.token_rows, size.token_columns, dtype=torch.uint8)
    for box in placed_boxes(boxes, name, latents, size, source):
        down, across = _touched(box.top, box.bottom, size.token_rows), _touched(box.left, box.right, size.token_columns)
        mask[box.latent, down, across] = 1
    return mask.flatten()


def _touched(begin: float, end: float, tokens: int) -> slice:
    """Tokens of a row or a column that a box reaches into, from one side to the other, in pixels."""
    first, last = (min(max(int(side / PIXELS_PER_TOKEN), 0), tokens - 1) for side in (begin, end))
    return slice(first, last + 1)


def _boxes_of(entry: Entry, name: str, key: str) -> list[Box]:
    """The boxes of one frame: one, or those of the hands."""
    boxes = []
    for box in entry.both if isinstance(entry, Hands) else [entry]:
        if isinstance(box, Box):
            boxes.append(box)
        elif isinstance(box.value, list) and len(box.value) == 4:
            raise InputError(
                f"{name} of {shown(key)} is {shown(box.value)}, but four numbers x1, y1, x2, y2 are expected; correct "
                "it."
            )
        elif box.value:
            log.warning("%s of %s is left out: %s is not a box [x1, y1, x2, y2]", name, key, shown(box.value))
    return boxes


def _place(box: Box, latent: int, source: VideoSize, size: VideoSize) -> PlacedBox | None:
    """A box after the video was scaled and cut to `size`, in its pixels; None where nothing of it is left."""
    scale = max(size.width / source.width, size.height / source.height)
    cut_x = (round(source.width * scale) - size.width) / 2
    cut_y = (round(source.height * scale) - size.height) / 2
    left, right = box.left * scale - cut_x, box.right * scale - cut_x
    top, bottom = box.top * scale - cut_y, box.bottom * scale - cut_y
    if right < 0 or bottom < 0 or left > size.width or top > size.height:
        return None
    return PlacedBox(latent, left, top, right, bottom)
