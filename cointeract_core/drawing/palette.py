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
BLUE: Colour = (78, 156, 245)
ORANGE: Colour = (240, 138, 60)
GREEN: Colour = (52, 190, 130)
VIOLET: Colour = (165, 130, 240)
PINK: Colour = (236, 98, 160)
YELLOW: Colour = (226, 188, 66)
WAVE: Colour = (52, 96, 150)  # peaks of a sound
LOUD: Colour = (96, 170, 255)  # its mean level
FACE: Colour = (64, 214, 255)
HAND: Colour = (255, 92, 184)


def mixed(colour: Colour, ground: Colour, share: float) -> Colour:
    """A colour faded into its ground; a share of 1 leaves it as it is."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, ground, strict=True))
    return red, green, blue


def as_image(picture: Image) -> Tensor:
    """A drawn RGB picture as `[1, H, W, 3]` in 0-1."""
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[None]
