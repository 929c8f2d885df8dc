"""Pictures: what is refused, and how they are fitted and cut out."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.images import (
    check_image,
    fit_person,
    fit_pose,
    fit_product,
    quantise_8bit,
)
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize

SIZE = VideoSize(32, 64)
RED = torch.tensor([1.0, 0.0, 0.0])


def red(height: int, width: int) -> torch.Tensor:
    return RED.expand(height, width, 3).clone()


def with_alpha(height: int, width: int) -> torch.Tensor:
    """Red, transparent in its left half."""
    opacity = torch.ones(height, width, 1)
    opacity[:, : width // 2] = 0.0
    return torch.cat([red(height, width), opacity], dim=-1)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.zeros(0, 64, 64, 3), "image holds no picture, but one is expected; wire an IMAGE with at least one."),
        (
            torch.zeros(1, 1, 1, 3),
            "image is 1x1 pixels, but each side needs at least 16; use a larger picture.",
        ),
        (
            torch.zeros(1, 64, 15, 3),
            "image is 15x64 pixels, but each side needs at least 16; use a larger picture.",
        ),
        (
            torch.zeros(1, 1, 1, 1).expand(1, 20000, 20000, 3),
            "image is 20000x20000 pixels, but each side may have at most 16384; scale it down first.",
        ),
        (
            torch.zeros(1, 64, 64, 2),
            "image has shape (1, 64, 64, 2), but pictures [count, height, width, 3 colours] are expected; "
            "wire an IMAGE.",
        ),
        (
            torch.zeros(64, 64, 3),
            "image has shape (64, 64, 3), but pictures [count, height, width, 3 colours] are expected; wire an IMAGE.",
        ),
        (
            None,
            "image is NoneType, but a picture is expected; wire an IMAGE.",
        ),
        (
            torch.full((1, 64, 64, 3), 255.0),
            "image holds values from 255 to 255, but 0 to 1 is expected; look for the node before that made them.",
        ),
        (
            torch.full((1, 64, 64, 3), -0.9),
            "image holds values from -0.9 to -0.9, but 0 to 1 is expected; look for the node before that made them.",
        ),
        (
            torch.full((1, 64, 64, 3), torch.nan),
            "image holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; "
            "look for the node before that made them.",
        ),
    ],
)
def test_unusable_pictures_are_refused(image, sentence):
    with pytest.raises(InputError) as refusal:
        check_image(image, "image")
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("kind", "top"), [(torch.uint8, 255), (torch.int16, 32767), (torch.int32, 2**31 - 1)])
def test_whole_numbers_of_pictures_are_scaled(kind, top):
    assert check_image(torch.full((1, 64, 64, 3), top, dtype=kind), "image").eq(1).all()


@pytest.mark.parametrize(("channels", "kept"), [(1, 3), (3, 3), (4, 4)])
def test_the_first_picture_of_a_batch_counts(channels, kept):
    batch = torch.stack([torch.full((16, 20, channels), value) for value in (0.25, 0.75)])
    picture = check_image(batch, "image")
    assert picture.shape == (16, 20, kept)
    assert (picture == 0.25).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(64, 32), (97, 53), (20, 300), (16, 16)])
def test_a_person_has_the_size_of_the_video(fit, shape):
    picture = fit_person(red(*shape), SIZE, fit)
    assert picture.shape == (1, 64, 32, 3)
    assert picture.dtype == torch.float32
    assert (picture[0, 32, 16] == RED).all()


def test_fits_differ_in_what_becomes_of_another_shape():
    wide = red(32, 64)
    wide[:, :24] = 0.0  # black left edge, three eighths of the width
    stretched, cropped, padded = (fit_person(wide, SIZE, fit)[0] for fit in ("stretch", "crop", "pad"))
    assert (stretched[:, 2] == 0).all()
    assert (cropped[:, 2] == RED).all()  # the black edge is cut off
    assert (padded[0] == 1).all()
    assert (padded[-1] == 1).all()
    assert (padded[32, 2] == 0).all()


def test_transparency_becomes_background():
    person = fit_person(with_alpha(64, 32), SIZE)
    assert (person[0, :, 4] == 1.0).all()
    assert (person[0, :, 28] == RED).all()
    product = fit_product(with_alpha(64, 32), None, SIZE, padding=1.0, background="grey")
    assert (product[0, :, 4] == 128 / 255).all()
    assert (product[0, :, 28] == RED).all()


def test_a_padded_product_is_smaller_by_the_padding_and_centred():
    product = fit_product(red(128, 64), None, VideoSize(64, 128), padding=2.0)[0]
    visible = (product == RED).all(dim=-1).nonzero()
    assert visible.amin(0).tolist() == [32, 16]
    assert visible.amax(0).tolist() == [95, 47]
    assert (product[0, 0] == 0).all()  # black, as published


@pytest.mark.parametrize("form", ["one", "batch", "smaller"])
def test_a_mask_keeps_what_is_white(form):
    mask = torch.zeros(64, 32)
    mask[:, 16:] = 1.0
    mask = {"one": mask, "batch": mask[None], "smaller": mask[None, ::4, ::4]}[form]
    product = fit_product(red(64, 32), mask, SIZE, padding=1.0, background="white")[0]
    assert (product[:, :12] == 1.0).all()
    assert (product[:, 20:] == RED).all()


def test_mask_and_transparency_work_together():
    mask = torch.zeros(64, 32)
    mask[:32] = 1.0
    product = fit_product(with_alpha(64, 32), mask, SIZE, padding=1.0)[0]
    assert (product[:30, 20:] == RED).all()
    assert (product[:, :14] == 0).all()
    assert (product[34:] == 0).all()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (
            torch.ones(1, 64, 32, 3),
            "mask has shape (1, 64, 32, 3), but one channel [count, height, width] is expected; convert it with the "
            "Convert Image to Mask node.",
        ),
        (
            torch.ones(64, 32, 3),
            "mask has shape (64, 32, 3), but one channel [count, height, width] is expected; convert it with the "
            "Convert Image to Mask node.",
        ),
        (
            torch.ones(0, 64, 32),
            "mask has shape (0, 64, 32), but one channel [count, height, width] is expected; convert it with the "
            "Convert Image to Mask node.",
        ),
        (
            torch.zeros(1, 64, 32),
            "mask is black everywhere, so nothing of the product would be left; paint the product white, invert the "
            "mask, or unwire it.",
        ),
        (torch.ones(1, 80, 80), "mask is 80x80, but the picture is 32x64; make the mask from the same picture."),
        (
            torch.full((1, 64, 32), torch.inf),
            "mask holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; look for the node "
            "before that made them.",
        ),
    ],
)
def test_unusable_masks_are_refused(mask, sentence):
    with pytest.raises(InputError) as refusal:
        fit_product(red(64, 32), mask, SIZE)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"fit": "zoom"}, "fit is zoom, but stretch, crop, pad are known; choose one of them."),
        ({"background": "plaid"}, "background is plaid, but black, white, grey are known; choose one of them."),
        ({"padding": 0.5}, "padding is 0.5, but at least 1 is expected; 1.25 is the published value."),
    ],
)
def test_unknown_options_are_refused(arguments, sentence):
    with pytest.raises(InputError) as refusal:
        fit_product(red(64, 32), None, SIZE, **arguments)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pose_frames_are_cut_to_the_shape_of_the_video(channels):
    frames = torch.zeros(3, 64, 128, channels)
    frames[:, :, 48:80] = 1.0  # the middle quarter, which is what a 32x64 video keeps
    assert (fit_pose(frames, SIZE) == 1.0).all()


def test_a_broken_pose_frame_is_named():
    frames = torch.zeros(3, 64, 32, 3)
    frames[2, 5, 5] = torch.nan
    with pytest.raises(InputError, match="pose frame 2 holds values that are not numbers"):
        fit_pose(frames, SIZE)


def test_eight_bits_are_cut_not_rounded():
    cut = quantise_8bit(torch.tensor([0.0, 0.9 / 255, 254.99 / 255, 1.0, 1.5, -0.5]))
    assert (cut * 255).round().tolist() == [0, 0, 254, 255, 255, 0]
    every = torch.arange(256) / 255
    assert (quantise_8bit(every) == every).all()  # what is 8-bit already stays
