"""Every picture a user can wire wrongly, of the person and of the product, and the exact sentence that answers."""

from __future__ import annotations

import math

import pytest
import torch

from cointeract_pack.nodes import references
from cointeract_pack.tests.host.video.refusals import NO_NUMBERS, PERSON, check_sentence, image, run


def person(**wrong):
    return references.PersonReference, {
        "image": image(),
        "vae": "vae",
        "size": "custom",
        "width": 64,
        "height": 96,
        "fit": "crop",
        **wrong,
    }


def product(**wrong):
    settings = {"fit": "pad", "padding": 1.25, "background": "black", "scale": 1.0}
    return references.ProductReference, {"person": PERSON, "image": image(), "vae": "vae", **settings, **wrong}


CASES = {
    "person of one pixel": (
        person(image=image(1, 1)),
        "image is 1x1 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "person of 20,000 pixels": (
        person(image=torch.zeros(1, 16, 1, 3).expand(1, 16, 20000, 3)),
        "image is 20000x16 pixels, but each side may have at most 16384; scale it down first.",
    ),
    "person with NaN": (person(image=image(value=math.nan)), f"image {NO_NUMBERS}"),
    "no person": (
        person(image=image(count=0)),
        "image holds no picture, but one is expected; wire an IMAGE with at least one.",
    ),
    "person with two channels": (
        person(image=image(channels=2)),
        "image has shape (1, 96, 64, 2), but pictures [count, height, width, 3 colours] are expected; wire an IMAGE.",
    ),
    "video too small": (
        person(width=10, height=96),
        "width x height is 10x96, but each side must be 64 to 4096 pixels; choose a preset such as 480x832.",
    ),
    "video too large": (
        person(width=480, height=8000),
        "width x height is 480x8000, but each side must be 64 to 4096 pixels; choose a preset such as 480x832.",
    ),
    "product of one pixel": (
        product(image=image(1, 96)),
        "image is 1x96 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "product with infinity": (product(image=image(value=math.inf)), f"image {NO_NUMBERS}"),
    "mask with three channels": (
        product(mask=torch.ones(1, 96, 64, 3)),
        "mask has shape (1, 96, 64, 3), but one channel [count, height, width] is expected; convert it with the "
        "Convert Image to Mask node.",
    ),
    "black mask": (
        product(mask=torch.zeros(1, 96, 64)),
        "mask is black everywhere, so nothing of the product would be left; paint the product white, invert the mask, "
        "or unwire it.",
    ),
    "mask of another picture": (
        product(mask=torch.ones(1, 64, 96)),
        "mask is 96x64, but the picture is 64x96; make the mask from the same picture.",
    ),
    "mask with NaN": (product(mask=torch.full((1, 96, 64), math.nan)), f"mask {NO_NUMBERS}"),
    "empty mask": (
        product(mask=torch.ones(0, 96, 64)),
        "mask has shape (0, 96, 64), but one channel [count, height, width] is expected; convert it with the Convert "
        "Image to Mask node.",
    ),
    "padding below 1": (
        product(padding=0.5),
        "padding is 0.5, but at least 1 is expected; 1.25 is the published value.",
    ),
    "unknown background": (
        product(background="pink"),
        "background is pink, but black, white, grey are known; choose one of them.",
    ),
    "unknown fit": (product(fit="zoom"), "fit is zoom, but stretch, crop, pad are known; choose one of them."),
}


@pytest.mark.parametrize("case", CASES)
def test_sentence(case, wired_models):
    (node, inputs), sentence = CASES[case]
    check_sentence(node, inputs, sentence, wired_models)


def test_the_table_is_long_enough():
    assert len(CASES) >= 14


def test_transparent_pictures_are_laid_on_the_background(wired_models):
    picture = image(channels=4)
    picture[..., 3] = 0.0
    _, shown = run(*product(image=picture), wired_models).args[:2]
    assert shown.max() == 0.0
    _, shown = run(*product(image=picture, background="white"), wired_models).args[:2]
    assert shown.min() == 1.0
