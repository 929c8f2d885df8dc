"""Put two videos of one scene beside each other, with the product that was asked for, into one mp4 with sound.

PYTHONPATH=scripts python scripts/demos/side_by_side.py BEFORE AFTER PRODUCT OUT
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from demos.toy_clip import read_pictures, read_sound
from tiny.drawn import FPS, in_colours, tag_colours

if TYPE_CHECKING:
    import numpy as np

HEADS = ("the product", "before", "after")
SCALE = 3  # how much pictures are enlarged
MARGIN, HEAD = 12, 40  # pixels; the page's sides are even, as the codec wants them
PAPER, INK = (248, 248, 250), (40, 42, 54)
TEXT_SIZE = 22
QUALITY = "16"  # of x264


def page_size(height: int, width: int, columns: int) -> tuple[int, int]:
    """Width and height of a page of so many enlarged pictures."""
    return columns * (width * SCALE + MARGIN) + MARGIN, HEAD + height * SCALE + MARGIN


def empty_page(height: int, width: int, heads: tuple[str, ...] = HEADS) -> np.ndarray:
    """A page `[H, W, 3]` uint8 with its heads and room for a picture below each."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("RGB", page_size(height, width, len(heads)), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT_SIZE)
    for column, head in enumerate(heads):
        middle = MARGIN + column * (width * SCALE + MARGIN) + width * SCALE / 2
        draw.text((middle, HEAD / 2), head, fill=INK, font=font, anchor="mm")
    return np.array(page)


def put(page: np.ndarray, column: int, picture: np.ndarray) -> None:
    """Put a picture `[H, W, 3]`, enlarged, into a column of a page."""
    import cv2

    large = cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    left = MARGIN + column * (picture.shape[1] * SCALE + MARGIN)
    page[HEAD : HEAD + large.shape[0], left : left + large.shape[1]] = large


def pages(before: np.ndarray, after: np.ndarray, product: np.ndarray) -> list[np.ndarray]:
    """A page for each frame that both videos `[T, H, W, 3]` have, of the product `[H, W, 3]` and these two."""
    blank = empty_page(*before.shape[1:3])
    put(blank, 0, product)
    made = []
    for one, other in zip(before, after, strict=False):
        page = blank.copy()
        put(page, 1, one)
        put(page, 2, other)
        made.append(page)
    return made


def write(path: Path, pictures: list[np.ndarray], sound: np.ndarray, rate: int) -> None:
    """Write an mp4 of pictures `[H, W, 3]` at 25 a second, with a sound `[T]`."""
    import av

    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.options = "yuv420p", {"crf": QUALITY}
        tag_colours(video)
        audio = out.add_stream("aac", rate=rate)
        audio.layout = "mono"
        for picture in pictures:
            out.mux(video.encode(in_colours(av.VideoFrame.from_ndarray(picture, format="rgb24"))))
        out.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, 0, Fraction(1, rate)
        fifo, to_planes = av.AudioFifo(), av.AudioResampler(format="fltp", layout="mono", rate=rate)
        for part in to_planes.resample(block):
            fifo.write(part)
        for part in fifo.read_many(audio.codec_context.frame_size or 1024, partial=True):
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))


def main(arguments: list[str]) -> None:
    """The command."""
    import numpy as np
    from PIL import Image

    before, after, product, out = map(Path, arguments)
    with Image.open(product) as shown:
        picture = np.array(shown.convert("RGB"))
    write(out, pages(read_pictures(before), read_pictures(after), picture), *read_sound(after))


if __name__ == "__main__":
    main(sys.argv[1:])
