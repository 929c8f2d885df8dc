"""Outlines of the products, and how far from them a hand is that holds one.

All in pixels of a product of size 1, its centre at (0, 0), y downwards.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

BOX, BOTTLE, CAN, BALL, HEART = "box", "bottle", "can", "ball", "heart"
COMMON_SHAPES = (BOX, BOTTLE, CAN, BALL)  # of which scenes choose
SHAPES = (*COMMON_SHAPES, HEART)
GRIP_HEIGHT = 1.5  # where a palm is, below the product's centre
GRIP = 5.2  # from the middle of a palm to the outline; the palm is wider, the rest of it lies behind the product
BALL_RADIUS = 13.0
CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    BOX: ((-11, -14), (11, -14), (11, 14), (-11, 14)),
    CAN: ((-9, -12), (-6.5, -15), (6.5, -15), (9, -12), (9, 12), (6.5, 15), (-6.5, 15), (-9, 12)),
    BOTTLE: ((-4, -21), (4, -21), (4, -12), (8.5, -6), (8.5, 16), (-8.5, 16), (-8.5, -6), (-4, -12)),
}
HALF_WIDTHS = {BOX: 11.0, CAN: 9.0, BOTTLE: 8.5, BALL: 13.0, HEART: 15.68}
STEPS = 8  # of Newton's method; the distance changes almost as fast as the place


def outline(shape: str) -> np.ndarray:
    """Corners of a shape, `[N, 2]`."""
    if shape in CORNERS:
        return np.array(CORNERS[shape], dtype=np.float64)
    if shape == BALL:
        turns = np.linspace(0, 2 * np.pi, 33)[:-1]
        return BALL_RADIUS * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    turns = np.linspace(0, 2 * np.pi, 41)[:-1]
    across = 16 * np.sin(turns) ** 3
    down = -(13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns))
    return np.stack([0.98 * across, 1.05 * (down - 1.0)], axis=1)


def half_width_at(corners: np.ndarray, height: float) -> float:
    """How far to the right an outline `[N, 2]` reaches at a height; 0 where it does not reach that high."""
    begin, end = corners, np.roll(corners, -1, axis=0)
    crossing = (begin[:, 1] - height) * (end[:, 1] - height) <= 0
    crossing &= begin[:, 1] != end[:, 1]
    if not crossing.any():
        return 0.0
    begin, end = begin[crossing], end[crossing]
    share = (height - begin[:, 1]) / (end[:, 1] - begin[:, 1])
    return float((begin[:, 0] + share * (end[:, 0] - begin[:, 0])).max())


def distance(corners: np.ndarray, point: tuple[float, float]) -> float:
    """From a point to an outline `[N, 2]`, in pixels; less than 0 inside."""
    return -float(cv2.pointPolygonTest(corners.astype(np.float32)[:, None], point, measureDist=True))


def palm_place(shape: str, scale: float) -> float:
    """How far beside the centre of a product of this scale a palm is that is `GRIP` away from the outline."""
    corners = outline(shape) * scale
    place = HALF_WIDTHS[shape] * scale + GRIP
    for _ in range(STEPS):
        place += GRIP - distance(corners, (place, GRIP_HEIGHT))
    return place


def turned(points: np.ndarray | tuple[float, float], angle: float) -> np.ndarray:
    """Points `[..., 2]` turned about (0, 0), clockwise in the picture."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.asarray(np.asarray(points, dtype=np.float64) @ np.array([[cosine, sine], [-sine, cosine]]))
