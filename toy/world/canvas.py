"""Drawing at three times the size, averaged down and softened a little: a tiny VAE has no room for hard edges."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .palette import HEIGHT, WIDTH, Colour
from .pose import Point, point
from .shapes import turned

SCALE = 3  # of the canvas
SOFTNESS = 0.6  # standard deviation of the last blur, in pixels
FRACTION_BITS = 4  # OpenCV's coordinates are whole numbers of sixteenths
CORNERS_OF_OVAL = 48
TURNS = np.arange(CORNERS_OF_OVAL) * (2 * np.pi / CORNERS_OF_OVAL)
CIRCLE = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)
Canvas = np.ndarray  # [384, 288, 3] uint8


def plain(colour: Colour) -> Canvas:
    """A canvas of one colour."""
    return np.full((HEIGHT * SCALE, WIDTH * SCALE, 3), colour, dtype=np.uint8)


def polygon(canvas: Canvas, corners: np.ndarray | list[tuple[float, float]] | list[Point], colour: Colour) -> None:
    """A filled polygon; corners `[N, 2]` in pixels of the picture."""
    placed = np.round(np.asarray(corners, dtype=np.float64) * (SCALE << FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [placed], colour, cv2.LINE_8, FRACTION_BITS)


def oval(canvas: Canvas, centre: Point, axes: tuple[float, float], colour: Colour, angle: float = 0.0) -> None:
    """A filled ellipse; `axes` are half of its width and height before it is turned."""
    polygon(canvas, centre + turned(CIRCLE * axes, angle), colour)


def limb(
    canvas: Canvas, begin: Point, end: Point, radius: float, colour: Colour, end_radius: float | None = None
) -> None:
    """A stroke with round ends, of one width or growing evenly to another."""
    end_radius = radius if end_radius is None else end_radius
    along = end - begin
    length = max(1e-6, math.hypot(*along))
    across = point(-along[1], along[0]) / length
    sides = [begin + across * radius, end + across * end_radius, end - across * end_radius, begin - across * radius]
    polygon(canvas, sides, colour)
    oval(canvas, begin, (radius, radius), colour)
    oval(canvas, end, (end_radius, end_radius), colour)


def developed(canvas: Canvas) -> np.ndarray:
    """The picture, `[128, 96, 3]` uint8."""
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SOFTNESS))
