"""Which thing each pixel belongs to, by the nearest colour of the scene; and connected parts of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..world import palette
from ..world.palette import Colour, shade
from ..world.scene import Scene

SKIN, PRODUCT, PRINT, MOUTH, LIP, OTHER_PRODUCT, REST = range(7)  # things
Mask = np.ndarray  # [H, W] bool


@dataclass(frozen=True, slots=True)
class Part:
    """A connected part of a picture: its pixels, how many there are, and their middle (x, y)."""

    mask: Mask
    area: int
    middle: tuple[float, float]


class Palette:
    """The colours a scene is drawn with, and what each stands for."""

    def __init__(self, scene: Scene) -> None:
        named = _colours(scene)
        self._things = np.array([thing for thing, _ in named], dtype=np.uint8)
        self._colours = np.array([colour for _, colour in named], dtype=np.float32)

    def things(self, picture: np.ndarray) -> np.ndarray:
        """The thing of each pixel, `[H, W]` uint8, of a picture `[H, W, 3]` uint8."""
        pixels = picture.reshape(-1, 3).astype(np.float32)
        # the square of the pixel is the same for every colour
        distances = (self._colours**2).sum(axis=1) - 2 * pixels @ self._colours.T
        return np.asarray(self._things[distances.argmin(axis=1)].reshape(picture.shape[:2]))


def parts(mask: Mask, least: int) -> list[Part]:
    """Connected parts of at least so many pixels, the largest first."""
    _, numbers, facts, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = facts[1:, cv2.CC_STAT_AREA]
    order = [int(number) + 1 for number in np.argsort(-areas, kind="stable") if areas[number] >= least]
    return [Part(numbers == number, int(areas[number - 1]), tuple(middles[number].tolist())) for number in order]


def _colours(scene: Scene) -> list[tuple[int, Colour]]:
    person, room = scene.person, scene.room
    shirt = palette.SHIRTS[person.shirt]
    named = [(SKIN, shade(person.skin, share)) for share in (1.0, palette.SHADOW, palette.LINE_SHADE)]
    for name, colour in palette.PRODUCTS.items():
        thing = PRODUCT if name == scene.product.colour else OTHER_PRODUCT
        # a rim is one or two pixels wide, so what is seen of it is half mixed with the body
        named += [(thing, shade(colour, share)) for share in (1.0, (1 + palette.RIM) / 2, palette.RIM)]
    rest = [shade(shirt, share) for share in (1.0, palette.LOWER_ARM, palette.UPPER_ARM)]
    walls = (palette.WALL_TOP, 1.0, palette.WALL_BOTTOM, palette.FRAME_SHADE)
    rest += [shade(room.wall, share) for share in walls]
    rest += [palette.LAMP, room.desk, person.hair]
    named += [(REST, colour) for colour in rest]
    return [*named, (PRINT, palette.WHITE), (PRINT, palette.DARK), (LIP, palette.LIP), (MOUTH, palette.MOUTH)]
