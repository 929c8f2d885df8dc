"""Picture files as they are shown: turned by their EXIF tag, with their transparency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..conditioning.images import check_image
from ..errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SIXTEEN_BITS = 257  # 65535 / 255


def read_picture(path: Path, name: str) -> Tensor:
    """A picture as a host IMAGE of one.

    Args:
        name: of the column, for errors.

    Returns:
        `[H, W, 3 or 4]` in 0-1, checked.

    Raises:
        InputError: no picture that can be read, or one too small or too large.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            turned = _in_eight_bits(ImageOps.exif_transpose(file))
            picture = turned.convert("RGBA" if "A" in turned.getbands() or "transparency" in turned.info else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"“{path.name}” cannot be read as a picture, but one is expected; save it again as png."
        ) from error
    return check_image(torch.from_numpy(np.array(picture)).float()[None] / 255.0, name)


def _in_eight_bits(picture: Image) -> Image:
    """The picture; grey of 16 bits, which Pillow would cut off at 255, scaled to 8."""
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    grey = np.asarray(picture)
    return Image.fromarray(np.rint(grey.clip(0, 65535) / SIXTEEN_BITS).astype(np.uint8))
