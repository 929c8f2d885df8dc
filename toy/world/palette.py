"""Colours of the world by name, and sizes of its pictures.

No colour stands for two things: a shirt is never of a product's colour, so that a word of a prompt has one meaning and
a pixel of a product can be told by its colour alone.
"""

from __future__ import annotations

Colour = tuple[int, int, int]  # red, green, blue in 0-255

WIDTH, HEIGHT = 96, 128  # pixels; portrait
FPS = 25  # frames a second
VERSION = 1  # of the drawing; files of another version are not mixed with these

SKINS: tuple[Colour, ...] = ((236, 188, 150), (205, 150, 110), (150, 100, 70))
SHIRTS: dict[str, Colour] = {"blue": (60, 90, 190), "teal": (40, 140, 140), "purple": (120, 70, 170)}
HAIRS: tuple[Colour, ...] = ((40, 30, 25), (110, 70, 30), (190, 150, 70))
PRODUCTS: dict[str, Colour] = {
    "red": (215, 45, 45),
    "green": (60, 175, 70),
    "yellow": (240, 210, 50),
    "orange": (240, 130, 30),
}
WALLS: tuple[Colour, ...] = ((200, 205, 215), (170, 180, 195), (215, 210, 200), (185, 200, 195))
DESKS: tuple[Colour, ...] = ((150, 120, 95), (120, 110, 110), (175, 150, 120))
LAMP: Colour = (238, 232, 195)
WHITE: Colour = (245, 245, 245)
DARK: Colour = (45, 45, 65)  # of printed stripes
IRIS: Colour = (40, 35, 40)
LIP: Colour = (170, 60, 60)
MOUTH: Colour = (80, 20, 25)
HOI_GROUND: Colour = (40, 40, 40)  # not black: latents of black lie far outside of those of pictures
PAPER: Colour = (255, 255, 255)  # behind the product picture

# shares of a colour's light
RIM = 0.66  # edge of a product
SHADOW = 0.84  # neck, nose
LINE_SHADE = 0.68  # lines between fingers
UPPER_ARM, LOWER_ARM = 0.86, 0.93
WALL_TOP, WALL_BOTTOM = 1.06, 0.92
FRAME_SHADE = 0.78  # the picture on the wall


def shade(colour: Colour, share: float) -> Colour:
    """A colour with so much of its light."""
    red, green, blue = (int(max(0, min(255, part * share))) for part in colour)
    return red, green, blue
