"""Cut a product out of its picture, by its mask and its transparency."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

SAME_SHAPE = 0.02  # ratio of sides may differ by this much between a mask and its picture
NO_MASK_SIDE = 64  # of the empty mask that ComfyUI's Load Image gives for an opaque picture
VISIBLE = 0.5 / 255  # opacity that still changes an 8-bit picture


def cut_out(image: Tensor, mask: Tensor | None, background: tuple[int, int, int]) -> Tensor:
    """Lay a picture over a plain background.

    Args:
        image: `[H, W, 3]`, or `[H, W, 4]` with opacity last, in 0-1.
        mask: host MASK `[B, h, w]` or `[h, w]`, white where the picture stays; None keeps all of it, and so does the
            plain mask that stands for “none” (`is_no_mask`).
        background: RGB, 0-255.

    Returns:
        `[H, W, 3]` in 0-1.

    Raises:
        InputError: a mask of another form or shape, with NaN, or one that leaves nothing of the picture.
    """
    opacity = image[..., 3:] if image.shape[-1] == 4 else None
    if mask is not None and not is_no_mask(mask):
        kept = _fitted_mask(mask, image)
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


def is_no_mask(mask: Tensor) -> bool:
    """Whether this is the mask that Load Image gives for an opaque picture, as it comes or inverted: 64x64, plain."""
    if mask.ndim not in (2, 3) or tuple(mask.shape[-2:]) != (NO_MASK_SIDE, NO_MASK_SIDE) or not mask.numel():
        return False
    return bool((mask == 0).all() or (mask == 1).all())


def with_transparency(image: Tensor, transparency: Tensor | None) -> Tensor:
    """A picture with the transparency that Load Image took off it.

    Args:
        image: `[H, W, 3 or 4]` in 0-1.
        transparency: host MASK as Load Image gives it, white where the picture is transparent; None for none.

    Returns:
        `[H, W, 4]`, or the picture itself where nothing is transparent.

    Raises:
        InputError: a mask of another form or shape, with NaN, or one that leaves nothing of the picture.
    """
    if transparency is None or is_no_mask(transparency):
        return image
    opacity = 1.0 - _fitted_mask(transparency, image, "transparency").clamp(0.0, 1.0)[..., None]
    if opacity.max() < VISIBLE:
        raise InputError(
            "transparency is white everywhere, so nothing of the picture would be left; wire the MASK of the Load "
            "Image that gives the picture, as it comes."
        )
    return torch.cat([image[..., :3], opacity if image.shape[-1] == 3 else opacity * image[..., 3:]], dim=-1)


def cut_out_note(mask: Tensor | None, transparency: Tensor | None) -> str | None:
    """A sentence that says how the product was cut out, else None."""
    said = []
    if transparency is not None and not is_no_mask(transparency):
        said.append(f"{_share(1.0 - transparency):.0%} of the picture is opaque and stays: transparent is white in it")
    if mask is not None and not is_no_mask(mask):
        said.append(f"mask keeps {_share(mask):.0%} of the picture: the product is white in it")
    if not said and (mask is not None or transparency is not None):
        return "The mask is the empty one of an opaque picture: the whole picture stays."
    several = max((len(given) for given in (mask, transparency) if given is not None and given.ndim == 3), default=1)
    if said and several > 1:
        said.insert(0, f"mask holds {several} masks: the first is used")
    return f"{'; '.join(said)}." if said else None


def _share(kept: Tensor) -> float:
    return float((kept if kept.ndim == 2 else kept[0]).float().clamp(0.0, 1.0).mean())


def _fitted_mask(mask: Tensor, image: Tensor, name: str = "mask") -> Tensor:
    """The first mask, checked and at the size of the picture, `[H, W]`."""
    height, width = image.shape[:2]
    if mask.ndim not in (2, 3) or mask.numel() == 0 or (mask.shape[-1] in (3, 4) and width not in (3, 4)):
        raise InputError(
            f"{name} has shape {tuple(mask.shape)}, but one channel [count, height, width] is expected; convert it "
            "with the Convert Image to Mask node."
        )
    mask = (mask if mask.ndim == 2 else mask[0]).detach().float().cpu()
    if not torch.isfinite(mask).all():
        raise InputError(
            f"{name} holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; "
            "look for the node before that made them."
        )
    if tuple(mask.shape) == (height, width):
        return mask
    if abs(mask.shape[1] * height / (mask.shape[0] * width) - 1.0) > SAME_SHAPE:
        raise InputError(
            f"{name} is {mask.shape[1]}x{mask.shape[0]}, but the picture is {width}x{height}; "
            "make the mask from the same picture."
        )
    return _resized(mask, height, width)


def _resized(mask: Tensor, height: int, width: int) -> Tensor:
    import cv2

    how = cv2.INTER_AREA if mask.shape[0] > height else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(mask.contiguous().numpy(), (width, height), interpolation=how))
