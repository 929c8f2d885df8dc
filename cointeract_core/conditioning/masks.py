"""Cut a product out of its picture, by its mask and its transparency."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

SAME_SHAPE = 0.02  # ratio of sides may differ by this much between a mask and its picture
VISIBLE = 0.5 / 255  # opacity that still changes an 8-bit picture


def cut_out(image: Tensor, mask: Tensor | None, background: tuple[int, int, int]) -> Tensor:
    """Lay a picture over a plain background.

    Args:
        image: `[H, W, 3]`, or `[H, W, 4]` with opacity last, in 0-1.
        mask: host MASK `[B, h, w]` or `[h, w]`, white where the picture stays; None keeps all of it.
        background: RGB, 0-255.

    Returns:
        `[H, W, 3]` in 0-1.

    Raises:
        InputError: a mask of another form or shape, with NaN, or one that leaves nothing of the picture.
    """
    opacity = image[..., 3:] if image.shape[-1] == 4 else None
    if mask is not None:
        kept = _mask_like(mask, image)
        if kept.max() < VISIBLE:
            raise InputError(
                "mask is black everywhere, so nothing of the product would be left; paint the product white, invert "
                "the mask, or unwire it."
            )
        opacity = kept[..., None] if opacity is None else opacity * kept[..., None]
    if opacity is None:
        return image
    opacity = opacity.clamp(0.0, 1.0)
    plain = torch.tensor(background, dtype=image.dtype) / 255.0
    return image[..., :3] * opacity + plain * (1.0 - opacity)


def _mask_like(mask: Tensor, image: Tensor) -> Tensor:
    """The first mask, checked and at the size of the picture, `[H, W]`."""
    height, width = image.shape[:2]
    if mask.ndim not in (2, 3) or mask.numel() == 0 or (mask.shape[-1] in (3, 4) and width not in (3, 4)):
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, but one channel [count, height, width] is expected; convert it with "
            "the Convert Image to Mask node."
        )
    mask = (mask if mask.ndim == 2 else mask[0]).detach().float().cpu()
    if not torch.isfinite(mask).all():
        raise InputError(
            "mask holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; "
            "look for the node before that made them."
        )
    if tuple(mask.shape) == (height, width):
        return mask
    if abs(mask.shape[1] * height / (mask.shape[0] * width) - 1.0) > SAME_SHAPE:
        raise InputError(
            f"mask is {mask.shape[1]}x{mask.shape[0]}, but the picture is {width}x{height}; "
            "make the mask from the same picture."
        )
    return _resized(mask, height, width)


def _resized(mask: Tensor, height: int, width: int) -> Tensor:
    import cv2

    how = cv2.INTER_AREA if mask.shape[0] > height else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(mask.contiguous().numpy(), (width, height), interpolation=how))
