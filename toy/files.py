"""Videos, sounds and pictures of the world as files, without a loss."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import cv2
import numpy as np

from .world.palette import FPS
from .world.voice import RATE

# H.264 of red, green and blue: what is read back is bit for bit what was drawn
LOSSLESS, PIXELS, OPTIONS = "libx264rgb", "rgb24", {"qp": "0", "preset": "fast"}
COLOURS, ROUNDS = 256, 3  # of a page: a palette keeps the file small; k-means keeps small coloured parts in it
LOUDEST = 32767  # of a sample of 16 bits


def write_video(path: Path, pictures: np.ndarray) -> None:
    """Write a video of pictures `[T, H, W, 3]` uint8 at 25 frames a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(LOSSLESS, rate=FPS)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt, stream.options = PIXELS, dict(OPTIONS)
        stream.thread_count = 1  # clips are short; several processes share a machine better
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


def write_sound(path: Path, sound: np.ndarray) -> None:
    """Write a wav of samples `[T]` in -1 to 1 at 16 kHz, in 16 bits."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.round(np.clip(sound, -1, 1) * LOUDEST).astype("<i2").tobytes())


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a png of a picture `[H, W, 3]` uint8."""
    done, data = cv2.imencode(".png", picture[..., ::-1])
    if not done:
        raise ValueError(f"{path.name} cannot be written as {path.suffix}; give it a name that ends in .png.")
    path.write_bytes(data.tobytes())


def write_page(path: Path, page: np.ndarray) -> None:
    """Write a drawn page `[H, W, 3]` uint8 as a small png."""
    from PIL import Image

    image = Image.fromarray(page).quantize(COLOURS, kmeans=ROUNDS, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, beside its place first, so that it is never there in part."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
