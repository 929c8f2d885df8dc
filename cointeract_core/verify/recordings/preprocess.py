"""Fitting of pictures, and the ways in and out of the VAE's range."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...conditioning.images import fit_person, fit_pose, fit_product, quantise_8bit
from ...shapes import VideoSize, largest_size
from .golden import Check, Golden, compare, same
from .tiny import from_vae_range, to_vae_range

FITS: dict[str, Callable[[Tensor, VideoSize], Tensor]] = {
    "batch_infer_resize_and_pad": lambda image, size: fit_product(image, None, size),
    "ImageResizeAndPad": lambda image, size: fit_product(image, None, size, padding=1.0),
    "ImageCropAndResize": lambda image, size: fit_person(image, size, "crop"),
    "person_image_plain_resize": fit_person,
    "VideoData_crop_and_resize": lambda image, size: fit_pose(image[None], size),
}
BY_PIXELS = "ImageCropAndResize_dynamic_maxpixels"  # the size follows from the picture and a number of pixels


def check_preprocess(golden: Golden) -> Iterator[Check]:
    """Names are `out.<function>.<picture>.to<height>x<width>`; pictures are compared bit by bit."""
    for name, theirs in golden.group("out.").items():
        function, *where = name.split(".")
        if function in FITS:
            image = _picture(golden, where[0])
            height, width = (int(side) for side in where[1].removeprefix("to").split("x"))
            yield _pixels(name, FITS[function](image, VideoSize(width, height)), theirs)
        elif function.startswith(BY_PIXELS):
            image = _picture(golden, where[0])
            size = largest_size(image.shape[1], image.shape[0], int(function.removeprefix(BY_PIXELS)))
            yield _pixels(name, fit_person(image, size, "crop"), theirs)
        elif function == "preprocess_image":
            yield compare(name, to_vae_range(_picture(golden, where[0])[None])[:, :, 0], theirs)
        elif function == "vae_output_to_video_u8":
            yield _pixels(name, quantise_8bit(from_vae_range(golden["in.vae_output"])), theirs)
        else:
            raise KeyError(f"{name} comes from a function this program does not know")


def _picture(golden: Golden, name: str) -> Tensor:
    return golden[f"in.{name}"].float() / 255.0


def _pixels(name: str, ours: Tensor, theirs: Tensor) -> Check:
    return same(name, ours.mul(255.0).round().to(torch.uint8).view(theirs.shape), theirs)
