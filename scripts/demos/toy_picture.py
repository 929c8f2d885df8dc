"""Draw what goes into a video and what comes out on one page: the picture at the top of the README.

PYTHONPATH=scripts:. python scripts/demos/toy_picture.py VIDEO PERSON PRODUCT OUT.png PROMPT
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from demos.toy_clip import read_pictures, read_sound
from tiny.drawn import FPS

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw

SCALE = 2  # how much pictures are enlarged
FRAMES = 6  # of the video that are shown
MARGIN, GAP, ARROW = 28, 12, 56  # pixels
HEAD, LINE, CURVE = 52, 30, 96  # heights of the prompt, of a line below pictures, and of the loudness
ROUND = 10  # of corners
PAPER, INK, FAINT = (252, 252, 253), (38, 40, 52), (128, 132, 148)
EDGE = (206, 209, 218)  # of pictures: the product's stands on white paper
VOICE, VOICE_EDGE, TICK = (186, 210, 240), (58, 110, 190), (215, 90, 60)
TITLE_SIZE, TEXT_SIZE = 24, 17
COLOURS_OF_FILE, ROUNDS = 256, 3  # a palette keeps the file small, see toy/files.py


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand on the page, in pixels: pictures are `width` x `height`, the frames begin at `left`."""

    width: int
    height: int

    @property
    def left(self) -> int:
        """Of the row of frames."""
        return MARGIN + 2 * (self.width + GAP) - GAP + ARROW

    @property
    def right(self) -> int:
        """Of the row of frames."""
        return self.left + FRAMES * (self.width + GAP) - GAP

    @property
    def size(self) -> tuple[int, int]:
        """Of the page, width and height."""
        return self.right + MARGIN, HEAD + self.height + LINE + CURVE + LINE + MARGIN // 2

    def frame_left(self, column: int) -> int:
        """Of a frame's picture."""
        return self.left + column * (self.width + GAP)


def loudness_of(sound: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """Loudness of each frame's sound, `[frames]`, its loudest 1."""
    import numpy as np

    step = rate / FPS
    parts = [sound[round(number * step) : round((number + 1) * step)] for number in range(frames)]
    loud = np.array([np.sqrt((part.astype(np.float64) ** 2).mean()) if part.size else 0.0 for part in parts])
    return np.asarray(loud / max(float(loud.max()), 1e-9))


def chosen_frames(loudness: np.ndarray, count: int = FRAMES) -> list[int]:
    """Frames to show: one of each stretch of the video, the loudest and the quietest in turn."""
    import numpy as np

    ends = np.linspace(0, len(loudness), count + 1).round().astype(int)
    stretches = [loudness[first:last] for first, last in pairwise(ends)]
    found = [part.argmax() if number % 2 == 0 else part.argmin() for number, part in enumerate(stretches)]
    return [int(first + place) for first, place in zip(ends[:-1], found, strict=True)]


class Page:
    """The page while it is drawn, at twice its size, so that edges are smooth."""

    finer = 2

    def __init__(self, layout: Layout) -> None:
        from PIL import Image, ImageDraw

        self.layout = layout
        width, height = layout.size
        self._image: Image.Image = Image.new("RGB", (width * self.finer, height * self.finer), PAPER)
        self._draw: ImageDraw.ImageDraw = ImageDraw.Draw(self._image)

    def _larger(self, *places: float) -> list[float]:
        return [place * self.finer for place in places]

    def text(self, x: float, y: float, words: str, size: int, fill: tuple[int, int, int], anchor: str = "mm") -> None:
        """Words around a place, or to the right of it."""
        from PIL import ImageFont

        font = ImageFont.load_default(size * self.finer)
        self._draw.text(tuple(self._larger(x, y)), words, fill=fill, font=font, anchor=anchor)

    def picture(self, x: int, y: int, picture: np.ndarray) -> None:
        """A picture `[H, W, 3]` uint8 with round corners."""
        from PIL import Image, ImageDraw

        size = (self.layout.width * self.finer, self.layout.height * self.finer)
        large = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
        corners = Image.new("L", size)
        ImageDraw.Draw(corners).rounded_rectangle((0, 0, *size), ROUND * self.finer, fill=255)
        self._image.paste(large, (x * self.finer, y * self.finer), corners)
        edge = self._larger(x, y, x + self.layout.width - 0.5, y + self.layout.height - 0.5)
        self._draw.rounded_rectangle(edge, ROUND * self.finer, outline=EDGE, width=self.finer)

    def line(self, points: Sequence[tuple[float, float]], fill: tuple[int, int, int], width: float) -> None:
        """A line through points."""
        flat = [tuple(self._larger(*point)) for point in points]
        self._draw.line(flat, fill=fill, width=round(width * self.finer), joint="curve")

    def area(self, points: Sequence[tuple[float, float]], fill: tuple[int, int, int]) -> None:
        """A filled shape."""
        self._draw.polygon([tuple(self._larger(*point)) for point in points], fill=fill)

    def save(self, path: Path) -> None:
        """Write it as a png with a palette."""
        from PIL import Image

        small = self._image.resize(self.layout.size, Image.Resampling.LANCZOS)
        small.quantize(COLOURS_OF_FILE, kmeans=ROUNDS, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_inputs(page: Page, person: np.ndarray, product: np.ndarray, prompt: str) -> None:
    """The prompt, and the pictures that go in, with an arrow to what comes out."""
    layout = page.layout
    page.text(MARGIN, HEAD / 2, f"“{prompt}”", TITLE_SIZE, INK, "lm")
    second = MARGIN + layout.width + GAP
    below = HEAD + layout.height + LINE / 2
    for x, picture, name in ((MARGIN, person, "person"), (second, product, "product")):
        page.picture(x, HEAD, picture)
        page.text(x + layout.width / 2, below, name, TEXT_SIZE, FAINT)
    middle, end = HEAD + layout.height / 2, layout.left - 14
    begin = second + layout.width + 14
    page.line([(begin, middle), (end - 4, middle)], FAINT, 3)
    page.area([(end, middle), (end - 11, middle - 7), (end - 11, middle + 7)], FAINT)


def draw_frames(page: Page, pictures: np.ndarray, numbers: Sequence[int]) -> None:
    """A row of frames, with the second at which each is seen."""
    layout = page.layout
    for column, number in enumerate(numbers):
        x = layout.frame_left(column)
        page.picture(x, HEAD, pictures[number])
        page.text(x + layout.width / 2, HEAD + layout.height + LINE / 2, f"{number / FPS:.2f} s", TEXT_SIZE, FAINT)


def draw_voice(page: Page, loudness: np.ndarray, numbers: Sequence[int]) -> None:
    """The loudness of the speech below the frames, with a mark where each of them is taken."""
    layout = page.layout
    top, bottom = HEAD + layout.height + LINE, HEAD + layout.height + LINE + CURVE
    step = (layout.right - layout.left) / len(loudness)
    curve = [
        (layout.left + (number + 0.5) * step, bottom - 4 - (CURVE - 16) * float(value))
        for number, value in enumerate(loudness)
    ]
    page.area([(layout.left, bottom - 4), *curve, (layout.right, bottom - 4)], VOICE)
    page.line(curve, VOICE_EDGE, 2)
    for column, number in enumerate(numbers):
        x, y = curve[number]
        middle = layout.frame_left(column) + layout.width / 2
        page.line([(middle, top - 3), (x, y)], TICK, 1)
        page.area([(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)], TICK)
    page.text(layout.left - ARROW, bottom - CURVE / 2, "speech, how loud", TEXT_SIZE, FAINT, "rm")
    words = f"{len(loudness) / FPS:.1f} s of speech and video, made by the toy model of this repository"
    page.text((layout.left + layout.right) / 2, bottom + LINE / 2, words, TEXT_SIZE, FAINT)


def main(arguments: list[str]) -> None:
    """The command."""
    import numpy as np
    from PIL import Image

    video, person, product, out = map(Path, arguments[:4])
    pictures = read_pictures(video)
    shown = [np.array(Image.open(path).convert("RGB")) for path in (person, product)]
    loudness = loudness_of(*read_sound(video), len(pictures))
    numbers = chosen_frames(loudness)
    page = Page(Layout(pictures.shape[2] * SCALE, pictures.shape[1] * SCALE))
    draw_inputs(page, *shown, arguments[4])
    draw_frames(page, pictures, numbers)
    draw_voice(page, loudness, numbers)
    page.save(out)


if __name__ == "__main__":
    main(sys.argv[1:])
