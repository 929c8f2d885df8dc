"""The colours of everything this pack draws, and how a drawn picture becomes an IMAGE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

PAPER: Colour = (16, 18, 23)
PANEL: Colour = (25, 28, 35)
RIM: Colour = (52, 57, 69)  # around panels and pictures
GRID: Colour = (46, 51, 62)  # inside panels
INK: Colour = (226, 229, 234)
FAINT: Colour = (146, 153, 165)  # what is read second
# of curves, here and on the page (web/cointeract.css): they read on dark and on light
BLUE: Colour = (78, 156, 245)
ORANGE: Colour = (232, 131, 58)
GREEN: Colour = (43, 180, 122)
PINK: Colour = (232, 96, 158)
VIOLET: Colour = (157, 128, 236)
YELLOW: Colour = (207, 168, 41)
TEAL: Colour = (56, 182, 200)
RED: Colour = (214, 90, 79)
LIME: Colour = (127, 174, 60)
GREY: Colour = (152, 161, 179)
WAVE: Colour = (52, 96, 150)  # peaks of a sound
LOUD: Colour = (96, 170, 255)  # its mean level
FACE: Colour = (64, 214, 255)
HAND: Colour = (255, 92, 184)
TAIL: Colour = (60, 68, 80)  # of a sound that a video leaves out
SHADES: tuple[Colour, Colour] = ((38, 42, 50), (50, 55, 66))  # behind odd and even clips
BLACK: Colour = (0, 0, 0)


def mixed(colour: Colour, ground: Colour, share: float) -> Colour:
    """A colour faded into its ground; a share of 1 leaves it as it is."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, ground, strict=True))
    return red, green, blue


def as_image(picture: Image) -> Tensor:
    """A drawn RGB picture as `[1, H, W, 3]` in 0-1."""
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[None]
