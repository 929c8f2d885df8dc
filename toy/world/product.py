"""How a product is painted: rim, body, what is printed on it, and a bottle's cap."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, oval, polygon
from .palette import DARK, RIM, WHITE, Colour, shade
from .pose import Placed
from .scene import BAND, DISC, Product
from .shapes import BOTTLE, HALF_WIDTHS, half_width_at, outline, turned

INNER = 0.86  # of the outline: the body within its rim
PRINT_WIDTH = 0.82  # of the half width
BAND_TOP, BAND_BOTTOM = 0.0, 7.5
STRIPE_TOPS, STRIPE_HEIGHT = (-5.0, 4.0), 4.6
DISC_CENTRE, DISC_RADIUS, DOT_RADIUS = (0.0, 2.0), 5.6, 2.4
DOT_SHADE = 0.5
CAP = ((-3.2, -20.2), (3.2, -20.2), (3.2, -15.5), (-3.2, -15.5))  # within its rim, so that it is seen on white paper
PRINT_ROWS = 7  # a print follows the outline at so many heights


def draw_product(canvas: Canvas, product: Product, placed: Placed, flat: Colour | None = None) -> None:
    """A product where it is placed.

    Args:
        flat: one colour for its whole outline.
    """

    def at(points: np.ndarray | tuple[tuple[float, float], ...]) -> np.ndarray:
        return np.asarray(placed.at + turned(np.asarray(points, dtype=np.float64) * placed.scale, placed.angle))

    body = outline(product.shape)
    if flat is not None:
        polygon(canvas, at(body), flat)
        return
    polygon(canvas, at(body), shade(product.rgb, RIM))
    polygon(canvas, at(body * INNER), product.rgb)
    if product.label == BAND:
        polygon(canvas, at(stripe(product.shape, BAND_TOP, BAND_BOTTOM)), WHITE)
    elif product.label == DISC:
        centre = at((DISC_CENTRE,))[0]
        for radius, colour in ((DISC_RADIUS, WHITE), (DOT_RADIUS, shade(product.rgb, DOT_SHADE))):
            oval(canvas, centre, (radius * placed.scale,) * 2, colour)
    else:
        for top in STRIPE_TOPS:
            polygon(canvas, at(stripe(product.shape, top, top + STRIPE_HEIGHT)), DARK)
    if product.shape == BOTTLE:
        polygon(canvas, at(CAP), WHITE)


def stripe(shape: str, top: float, bottom: float) -> np.ndarray:
    """What is printed across a product from one height to another, inside of its rim; corners `[N, 2]`."""
    inner, widest = outline(shape) * INNER, HALF_WIDTHS[shape] * PRINT_WIDTH
    rows = np.linspace(top, bottom, PRINT_ROWS)
    right = np.array([(min(widest, half_width_at(inner, row)), row) for row in rows])
    return np.concatenate([right, right[::-1] * (-1, 1)])
