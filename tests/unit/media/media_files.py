"""Small real files of every kind a camera, a phone or an editor writes, with what they say about themselves."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COLOURS = ((220, 20, 30), (0, 200, 60), (0, 80, 200), (224, 172, 140), (227, 154, 87))
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
MATRIX_709, MATRIX_601, MATRIX_2020, HLG, PQ, P3 = 1, 6, 9, 18, 16, 12
TICK = Fraction(1, 1000)


def to_yuv(rgb: Sequence[float], matrix: int, full: bool, bits: int = 8) -> list[int]:
    """A colour (0-1) as the integers a file holds, by the textbook (ITU-R BT.601, BT.709, BT.2020)."""
    (red, green, blue), (kr, kb) = rgb, LUMA[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / 2 / (1 - kb), (red - luma) / 2 / (1 - kr)
    step = 1 << (bits - 8)
    if full:
        top = (1 << bits) - 1
        return [round(luma * top), *(round((1 << (bits - 1)) + part * top) for part in chroma)]
    return [round((16 + 219 * luma) * step), *(round((128 + 224 * part) * step) for part in chroma)]


def stripes(path: Path, colours: Sequence[Sequence[float]], size: tuple[int, int] = (320, 400), **tags: int) -> Path:
    """A video of horizontal stripes.

    Args:
        colours: RGB in 0-1 as they are coded, in the file's own transfer.
        tags: matrix, full, transfer, primaries (FFmpeg's numbers) and bits; without any, the file says nothing and is
            BT.601.
    """
    width, height = size
    matrix, full, bits = tags.get("matrix", 5), bool(tags.get("full")), tags.get("bits", 8)
    form = "yuv420p" if bits == 8 else "yuv420p10le"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, form
        stream.options = {"crf": "1", "preset": "ultrafast"}
        if tags:
            context = stream.codec_context
            context.colorspace, context.color_range = matrix, 2 if full else 1
            context.color_trc, context.color_primaries = tags.get("transfer", 1), tags.get("primaries", 1)
        kind = np.uint8 if bits == 8 else np.uint16
        planes = [np.zeros((height, width), kind), *(np.zeros((height // 2, width // 2), kind) for _ in range(2))]
        for number, colour in enumerate(colours):
            first, last = (height * place // len(colours) for place in (number, number + 1))
            for plane, value, part in zip(planes, to_yuv(colour, matrix, full, bits), (1, 2, 2), strict=True):
                plane[first // part : last // part] = value
        data = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(data, format=form)
            frame.pts = number
            if tags:
                frame.colorspace, frame.color_range = matrix, 2 if full else 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def stripes_of(picture: np.ndarray, count: int = 5) -> np.ndarray:
    """The colours in the middle of the stripes, `[count, 3]`."""
    height, width = picture.shape[:2]
    return np.array([picture[height * (2 * number + 1) // (2 * count), width // 2] for number in range(count)])


def clip(
    path: Path,
    times: Sequence[float],
    sound: np.ndarray | None = None,
    *,
    sound_from: float = 0.0,
    rate: int = 8000,
    size: tuple[int, int] = (64, 96),
    pixel: Fraction | None = None,
    second: bool = False,
) -> Path:
    """A video with frames at these seconds, whose luma is twice their number plus 20, and sound beside it.

    Args:
        sound: `[channels, samples]` float32.
        sound_from: second at which the sound begins.
        pixel: shape of a pixel.
        second: put a white video and a loud sound in front that players do not show.
    """
    with av.open(str(path), "w") as out:
        decoy = _picture_stream(out, size, None) if second else None
        stream = _picture_stream(out, size, pixel)
        heard = None
        if sound is not None:
            heard = out.add_stream("pcm_s16le", rate=rate, layout="mono" if len(sound) == 1 else "stereo")
        if decoy is not None:
            decoy.disposition, stream.disposition = 0, 1
        for number, time in enumerate(times):
            for made, level in ((decoy, 235), (stream, min(20 + 2 * number, 235))):
                if made is not None:
                    pixels = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
                    pixels[: size[1]] = level
                    frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
                    frame.pts, frame.time_base = round(time / TICK), TICK
                    out.mux(made.encode(frame))
        for made in (decoy, stream):
            if made is not None:
                out.mux(made.encode(None))
        if heard is not None:
            samples = np.ascontiguousarray((sound.T * 32767).round().astype(np.int16).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=heard.layout.name)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(sound_from * rate)
            out.mux(heard.encode(frame))
            out.mux(heard.encode(None))
    return path


def _picture_stream(out, size: tuple[int, int], pixel: Fraction | None):
    stream = out.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt, stream.time_base = *size, "yuv420p", TICK
    stream.codec_context.time_base = TICK
    stream.options = {"crf": "4", "preset": "ultrafast"}
    if pixel is not None:
        stream.codec_context.sample_aspect_ratio = pixel
    return stream


def numbers(frames) -> list[int]:
    """Which frames of a `clip` these are."""
    return [round((level + 16 - 20) / 2) for level in (frames.mean(dim=(1, 2, 3)) * 219).tolist()]
