"""Sizes of videos, latents and tokens, and how they follow from one another."""

from __future__ import annotations

from dataclasses import dataclass

from .constants import PIXELS_PER_TOKEN, SPATIAL_STRIDE, TEMPORAL_STRIDE
from .errors import InputError

SMALLEST_SIDE = 64  # the motion pack's coarsest kernel covers 8 latent cells (DIT:255-327)
LARGEST_SIDE = 4096


@dataclass(frozen=True, slots=True)
class VideoSize:
    """Width and height of a video in pixels."""

    width: int
    height: int

    @classmethod
    def of_latent(cls, latent_rows: int, latent_columns: int) -> VideoSize:
        """The size of a video whose latents have so many cells."""
        return cls(latent_columns * SPATIAL_STRIDE, latent_rows * SPATIAL_STRIDE)

    @property
    def latent_rows(self) -> int:
        """Rows of latent cells."""
        return self.height // SPATIAL_STRIDE

    @property
    def latent_columns(self) -> int:
        """Columns of latent cells."""
        return self.width // SPATIAL_STRIDE

    @property
    def token_rows(self) -> int:
        """Tokens from top to bottom."""
        return self.height // PIXELS_PER_TOKEN

    @property
    def token_columns(self) -> int:
        """Tokens from left to right."""
        return self.width // PIXELS_PER_TOKEN

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def snap_size(width: int, height: int) -> tuple[VideoSize, str | None]:
    """The nearest size whose sides are multiples of 16, and a note if that is another one.

    Raises:
        InputError: a side that comes out shorter than 64 or longer than 4096 pixels.
    """
    asked = VideoSize(width, height)
    size = VideoSize(_nearest_multiple(width), _nearest_multiple(height))
    if min(size.width, size.height) < SMALLEST_SIDE or max(size.width, size.height) > LARGEST_SIDE:
        raise InputError(
            f"width x height is {asked}, but each side must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels; "
            "choose a preset such as 480x832."
        )
    note = None if size == asked else f"{asked} is not a multiple of {PIXELS_PER_TOKEN}: using {size}"
    return size, note


def _nearest_multiple(pixels: int) -> int:
    return (pixels + PIXELS_PER_TOKEN // 2) // PIXELS_PER_TOKEN * PIXELS_PER_TOKEN


def largest_size(width: int, height: int, max_pixels: int) -> VideoSize:
    """The size of a picture's own shape within `max_pixels`, rounded down to 16 (UD, ImageCropAndResize)."""
    if width * height > max_pixels:
        shrink = (width * height / max_pixels) ** 0.5
        width, height = int(width / shrink), int(height / shrink)
    return VideoSize(width // PIXELS_PER_TOKEN * PIXELS_PER_TOKEN, height // PIXELS_PER_TOKEN * PIXELS_PER_TOKEN)


def video_frames(latents: int) -> int:
    """Frames the VAE makes of `latents` latents: one of the first, four of each that follows."""
    return (latents - 1) * TEMPORAL_STRIDE + 1


def video_latents(frames: int) -> int:
    """Latents the VAE makes of `frames` frames; the inverse of `video_frames`."""
    return (frames - 1) // TEMPORAL_STRIDE + 1
