"""What one picture shows: the product, the palms that hold it, hands, and how far the mouth is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from ..world.palette import HEIGHT, WIDTH
from .colours import LIP, MOUTH, OTHER_PRODUCT, PRINT, PRODUCT, SKIN, Mask, Palette, Part, parts

LEAST_PRODUCT, LEAST_HAND, LEAST_PIECE = 40, 40, 6  # pixels
SHOULDERS = 44  # nothing above is a product
MOUTH_ROWS, MOUTH_COLUMNS = slice(36, 50), slice(32, 66)
LIP_WEIGHT = 0.5  # lips grow half as much as what is between them
# skin of face and neck: above these rows, within so many pixels of the middle
BODY_SKIN = ((56, 21), (66, 12))
REACH = 12  # of the print of a product beyond its colour
TOUCHING = 7.0  # a hand that holds comes so close to the product with its nearest pixel
HOLDING = 10.5  # and so close with the middle of its palm; one that points stays farther away
SHALLOW = 2.0  # a palm is deeper than a finger
DEEPEST = 0.8  # of the depth: pixels that are the middle of a palm


@dataclass(frozen=True, slots=True)
class Palm:
    """A palm at the product.

    Attributes:
        distance: from its middle to the product's hull, in pixels.
        before: share of the hand that lies before the product.
    """

    distance: float
    before: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture shows.

    Attributes:
        mouth: dark and half of the red pixels where mouths are.
        product: middle (x, y) of its hull; None where nothing of the prompt's colour is seen.
        own_colour: share of its colour among what has a product's colour.
        palms: of the hands that hold it, by side.
        hands: connected skin that is no face.
    """

    mouth: float
    product: tuple[float, float] | None
    own_colour: float
    palms: Mapping[int, Palm] = field(default_factory=dict)
    hands: tuple[Part, ...] = ()


def look(picture: np.ndarray, palette: Palette) -> Seen:
    """Look at a picture `[128, 96, 3]` uint8."""
    things = palette.things(picture)
    box = things[MOUTH_ROWS, MOUTH_COLUMNS]
    mouth = int((box == MOUTH).sum()) + LIP_WEIGHT * int((box == LIP).sum())
    hands = tuple(parts((things == SKIN) & ~_body_skin(), LEAST_HAND))
    own, other = things == PRODUCT, things == OTHER_PRODUCT
    own[:SHOULDERS] = other[:SHOULDERS] = False
    coloured = int(own.sum() + other.sum())
    blobs = parts(own, LEAST_PRODUCT)
    if not blobs:
        return Seen(mouth, None, 0.0, {}, hands)
    hull = _hull(things, own, blobs[0])
    rows, columns = np.nonzero(hull)
    middle = (float(columns.mean()), float(rows.mean()))
    out = _signed_distance(hull)
    palms = {side: palm for side in (-1, 1) if (palm := _palm(hands, hull, out, middle[0], side)) is not None}
    return Seen(mouth, middle, int(own.sum()) / coloured, palms, hands)


def _body_skin() -> Mask:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    beside = abs(columns - WIDTH / 2)
    return np.asarray(np.any([(rows < height) & (beside < width) for height, width in BODY_SKIN], axis=0))


def _hull(things: np.ndarray, own: Mask, largest: Part) -> Mask:
    """The convex hull of the product: its colour, cut in pieces by thumbs and print, and the print itself."""
    near = cv2.dilate(largest.mask.astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)) > 0
    near[:SHOULDERS] = False
    pieces = parts((own | (things == PRINT)) & near, LEAST_PIECE)
    main = max(pieces, key=lambda piece: int((piece.mask & largest.mask).sum()))
    others = [piece.mask for piece in parts(own, LEAST_PIECE) if (piece.mask & near).any()]
    rows, columns = np.nonzero(np.any([main.mask, *others], axis=0))
    hull = np.zeros(own.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32)), 1)
    return hull > 0


def _signed_distance(hull: Mask) -> np.ndarray:
    """From every pixel to the hull, less than 0 inside."""
    inside = hull.astype(np.uint8)
    outwards = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    inwards = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 5) - 1, 0)
    return np.asarray(outwards - inwards)


def _palm(hands: tuple[Part, ...], hull: Mask, out: np.ndarray, centre: float, side: int) -> Palm | None:
    """The palm that holds the product on one side of its centre."""
    columns = np.arange(WIDTH)[None]
    mask = np.zeros(hull.shape, bool)
    for hand in hands:
        part = hand.mask & (side * (columns - centre) > 0)
        if part.any() and out[part].min() < TOUCHING:
            mask |= part
    if mask.sum() < LEAST_HAND:
        return None
    middle = _middle(mask)
    if middle is None:
        return None
    place = np.array(middle, np.float32)[:, None, None]
    distance = float(cv2.remap(out, place[0], place[1], cv2.INTER_LINEAR)[0, 0])
    return Palm(distance, float((mask & hull).sum() / mask.sum())) if distance < HOLDING else None


def _middle(mask: Mask) -> tuple[float, float] | None:
    """Where skin is deepest, x and y in fractions of pixels."""
    padded = np.pad(mask.astype(np.uint8), 1, mode="edge")
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    if depth.max() < SHALLOW:
        return None
    rows, columns = np.nonzero(depth > DEEPEST * depth.max())
    weights = depth[rows, columns]
    return float((columns * weights).sum() / weights.sum()), float((rows * weights).sum() / weights.sum())
