"""Sizes and how they snap."""

from __future__ import annotations

import pytest

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import (
    VideoSize,
    largest_size,
    snap_size,
    video_frames,
    video_latents,
)


@pytest.mark.parametrize(
    ("width", "height", "snapped", "note"),
    [
        (480, 832, (480, 832), None),
        (720, 1280, (720, 1280), None),
        (1080, 1920, (1088, 1920), "1080x1920 is not a multiple of 16: using 1088x1920"),
        (487, 831, (480, 832), "487x831 is not a multiple of 16: using 480x832"),
        (488, 832, (496, 832), "488x832 is not a multiple of 16: using 496x832"),
        (64, 4096, (64, 4096), None),
        (60, 4100, (64, 4096), "60x4100 is not a multiple of 16: using 64x4096"),
    ],
)
def test_size_snaps_to_the_nearest_multiple_of_16(width, height, snapped, note):
    assert snap_size(width, height) == (VideoSize(*snapped), note)


@pytest.mark.parametrize("sides", [(0, 832), (-480, 832), (48, 832), (480, 55), (4112, 480), (20000, 480)])
def test_sizes_beyond_the_model_are_refused(sides):
    with pytest.raises(InputError, match=f"width x height is {sides[0]}x{sides[1]}, but each side must be 64 to 4096"):
        snap_size(*sides)


def test_latent_cells_and_tokens():
    size = VideoSize(480, 832)
    assert (size.latent_columns, size.latent_rows) == (60, 104)
    assert (size.token_columns, size.token_rows) == (30, 52)
    assert VideoSize.of_latent(latent_rows=104, latent_columns=60) == size


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (73, 19), (81, 21), (153, 39)])
def test_frames_and_latents_correspond(frames, latents):
    assert video_frames(latents) == frames
    assert video_latents(frames) == latents


@pytest.mark.parametrize(
    ("picture", "pixels", "size"),
    [((53, 97), 2000, (32, 48)), ((480, 832), 10**6, (480, 832)), ((1080, 1920), 480 * 832, (464, 832))],
)
def test_a_picture_keeps_its_shape_within_a_number_of_pixels(picture, pixels, size):
    fitted = largest_size(*picture, pixels)
    assert fitted == VideoSize(*size)
    assert fitted.width * fitted.height <= pixels
