"""Person and product pictures and pose frames, fitted to the size of the video as the published program fits them.

Fitting goes through 8-bit pictures and Pillow, because that is what the model was trained and is used with.
Pictures are host IMAGEs: float, 0-1, channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..constants import PIXELS_PER_TOKEN, PRODUCT_PADDING
from ..errors import InputError
from ..shapes import VideoSize
from .cut_out import cut_out

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

SMALLEST_PICTURE = PIXELS_PER_TOKEN  # a picture smaller than one token says nothing
LARGEST_PICTURE = 16384
SLACK = 0.5  # how far over 0 to 1 sharpening and enlarging go
CHANNELS = {1: "grey", 3: "RGB", 4: "RGBA"}
COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128)}
Colour = tuple[int, int, int]


def check_image(image: Tensor, name: str) -> Tensor:
    """The first picture of a host IMAGE, checked.

    Args:
        image: `[B, H, W, C]`, 0-1, with 1, 3 or 4 channels.
        name: of the input, for the error.

    Returns:
        `[H, W, C]` float32 on the CPU, with 3 channels, or 4 where there is transparency.

    Raises:
        InputError: no picture, another number of channels, a side under 16 or over 16384 pixels, NaN or infinity, or
            values far from 0 to 1.
    """
    if not isinstance(image, Tensor):
        raise InputError(f"{name} is {type(image).__name__}, but a picture is expected; wire an IMAGE.")
    if image.ndim != 4 or image.shape[-1] not in CHANNELS:
        raise InputError(
            f"{name} has shape {tuple(image.shape)}, but pictures [count, height, width, 3 colours] are expected; "
            "wire an IMAGE."
        )
    count, height, width, channels = image.shape
    if count == 0:
        raise InputError(f"{name} holds no picture, but one is expected; wire an IMAGE with at least one.")
    if min(height, width) < SMALLEST_PICTURE:
        raise InputError(
            f"{name} is {width}x{height} pixels, but each side needs at least {SMALLEST_PICTURE}; use a larger picture."
        )
    if max(height, width) > LARGEST_PICTURE:
        raise InputError(
            f"{name} is {width}x{height} pixels, but each side may have at most {LARGEST_PICTURE}; scale it down first."
        )
    picture = _unit_range(image[0], name)
    return picture.expand(height, width, 3) if channels == 1 else picture


def batch_note(image: Tensor, name: str) -> str | None:
    """A sentence where more than one picture arrived, else None."""
    return f"{name} holds {len(image)} pictures: the first is used." if len(image) > 1 else None


def _unit_range(picture: Tensor, name: str) -> Tensor:
    """A picture in float32 on the CPU; whole numbers are brought to 0-1 by the range of their type."""
    if not picture.is_floating_point():
        return picture.detach().cpu().float() / torch.iinfo(picture.dtype).max
    picture = picture.detach().float().cpu()
    if not torch.isfinite(picture).all():
        raise InputError(
            f"{name} holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; "
            "look for the node before that made them."
        )
    low, high = (value.item() for value in picture.aminmax())
    if low < -SLACK or high > 1 + SLACK:
        raise InputError(
            f"{name} holds values from {low:.3g} to {high:.3g}, but 0 to 1 is expected; look for the node before that "
            "made them."
        )
    return picture


def fit_person(image: Tensor, size: VideoSize, fit: str = "stretch", background: str | Colour = "white") -> Tensor:
    """The person at the size of the video.

    Args:
        image: from `check_image`, `[H, W, 3 or 4]`.
        size: of the video.
        fit: "stretch" as published (BI:291), "crop" to fill the frame (what training saw), "pad" to show everything.
        background: under transparent parts and around a padded picture.

    Returns:
        `[1, H, W, 3]` in 0-1.
    """
    colour = _colour(background)
    return _fitted(_to_picture(cut_out(image, None, colour)), size, fit, 1.0, colour)


def fit_product(
    image: Tensor,
    mask: Tensor | None,
    size: VideoSize,
    fit: str = "pad",
    padding: float = PRODUCT_PADDING,
    background: str | Colour = "black",
) -> Tensor:
    """The product at the size of the video; the defaults are the published ones (BI:79).

    Args:
        image: from `check_image`, `[H, W, 3 or 4]`.
        mask: host MASK `[B, h, w]` or `[h, w]`, white where the product is; None keeps the whole picture.
        size: of the video.
        fit: "pad", "crop" or "stretch".
        padding: how many times smaller than the frame a padded product is; without effect on the other fits.
        background: replaces what mask or transparency leave out, and surrounds a padded product.

    Returns:
        `[1, H, W, 3]` in 0-1.

    Raises:
        InputError: a mask of another form or shape, or one that leaves nothing; padding below 1.
    """
    if not padding >= 1.0:
        raise InputError(f"padding is {padding}, but at least 1 is expected; 1.25 is the published value.")
    colour = _colour(background)
    return _fitted(_to_picture(cut_out(image, mask, colour)), size, fit, padding, colour)


def fit_pose(frames: Tensor, size: VideoSize) -> Tensor:
    """Pose frames at the size of the video: cut to its shape from the centre, then resized (VideoData of BI).

    Args:
        frames: `[frames, H, W, C]` in 0-1 with 1, 3 or 4 channels; what is transparent is black, the empty pose.

    Returns:
        `[frames, height, width, 3]` in 0-1.

    Raises:
        InputError: a frame with NaN, infinity or values far from 0 to 1.
    """
    out = torch.empty(len(frames), size.height, size.width, 3)
    for number, frame in enumerate(frames):
        picture = _unit_range(frame, f"pose frame {number}")
        if picture.shape[-1] == 4:
            picture = picture[..., :3] * picture[..., 3:].clamp(0.0, 1.0)
        out[number] = fit_pose_picture(_to_picture(picture.expand(-1, -1, 3)), size)
    return out


def fit_pose_picture(picture: Image, size: VideoSize) -> Tensor:
    """One pose frame at the size of the video, `[height, width, 3]` in 0-1; see `fit_pose`."""
    return _to_tensor(_cut_to_shape(picture, size).resize((size.width, size.height)))


def fill_picture(picture: Image, size: VideoSize) -> Tensor:
    """A picture scaled to fill the frame and cut from the centre, `[height, width, 3]` in 0-1."""
    return _to_tensor(_cover(picture, size))


def quantise_8bit(frames: Tensor) -> Tensor:
    """Frames in 0-1 cut down (not rounded) to 8-bit steps, as the published program writes and hands them over."""
    return (frames.clamp(0.0, 1.0) * 255.0).floor() / 255.0


def _colour(background: str | Colour) -> Colour:
    if isinstance(background, str):
        if background not in COLOURS:
            raise InputError(f"background is {background}, but {', '.join(COLOURS)} are known; choose one of them.")
        return COLOURS[background]
    return background


def _to_picture(image: Tensor) -> Image:
    from PIL import Image

    pixels = image.detach().float().cpu().clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels.numpy()))


def _to_tensor(picture: Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).float() / 255.0


def _fitted(picture: Image, size: VideoSize, fit: str, padding: float, colour: Colour) -> Tensor:
    fits: dict[str, Callable[[], Image]] = {
        "stretch": lambda: picture.resize((size.width, size.height)),
        "crop": lambda: _cover(picture, size),
        "pad": lambda: _contain(picture, size, padding, colour),
    }
    if fit not in fits:
        raise InputError(f"fit is {fit}, but {', '.join(fits)} are known; choose one of them.")
    return _to_tensor(fits[fit]())[None]


def _resampling(scale: float) -> Resampling:
    """Lanczos when shrinking, bilinear when enlarging (BI:79)."""
    from PIL.Image import Resampling

    return Resampling.LANCZOS if scale < 1 else Resampling.BILINEAR


def _scaled(picture: Image, scale: float) -> Image:
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), _resampling(scale))


def _cover(picture: Image, size: VideoSize) -> Image:
    """Fill the frame and cut off what stands over on both sides (UD, ImageCropAndResize)."""
    scaled = _scaled(picture, max(size.width / picture.width, size.height / picture.height))
    left, top = round((scaled.width - size.width) / 2), round((scaled.height - size.height) / 2)
    return scaled.crop((left, top, left + size.width, top + size.height))


def _contain(picture: Image, size: VideoSize, padding: float, colour: Colour) -> Image:
    """Show everything, `padding` times smaller than would fit, in the middle of a plain picture."""
    from PIL import Image

    scaled = _scaled(picture, min(size.width / picture.width, size.height / picture.height) / padding)
    canvas = Image.new("RGB", (size.width, size.height), colour)
    canvas.paste(scaled, ((size.width - scaled.width) // 2, (size.height - scaled.height) // 2))
    return canvas


def _cut_to_shape(picture: Image, size: VideoSize) -> Image:
    """The largest part from the centre that has the video's shape."""
    width, height = picture.size
    if height / width < size.height / size.width:
        width = max(1, int(height / size.height * size.width))
    else:
        height = max(1, int(width / size.width * size.height))
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
