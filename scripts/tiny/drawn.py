"""What the sample inputs and the training table are drawn with: a canvas, a person, a product, a voice, colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    from PIL import Image

SIZE = (480, 832)
FINER = 3  # pictures are drawn larger and shrunk, for smooth edges
SECONDS = 4.2
RATE = 44100
FPS = 25
BT709, LIMITED, FULL = 1, 1, 2  # FFmpeg's numbers of colours (matrix, primaries, transfer) and of ranges

# the first three formants of vowels in hertz, each with its loudness
VOWELS = {
    "a": ((800, 1.0), (1250, 0.6), (2600, 0.2)),
    "e": ((480, 1.0), (2000, 0.5), (2700, 0.3)),
    "i": ((300, 1.0), (2400, 0.4), (3100, 0.3)),
    "o": ((480, 1.0), (900, 0.6), (2500, 0.1)),
    "u": ((330, 1.0), (800, 0.4), (2300, 0.1)),
}
SYLLABLES = "aioeaueioaeiuoae"
FORMANT_WIDTH = 130.0  # hertz
HARMONICS = 18


def speech() -> numpy.ndarray:
    """Syllables of a voice that rises and falls, as float samples `[N]` in -1..1."""
    import numpy as np

    time = np.arange(int(SECONDS * RATE)) / RATE
    pitch = 175 + 35 * np.sin(2 * np.pi * 0.6 * time) - 12 * time
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    beat = time / SECONDS * len(SYLLABLES)  # syllables so far
    middles = np.arange(len(SYLLABLES)) + 0.5
    sound = np.zeros_like(time)
    for harmonic in range(1, HARMONICS + 1):
        loudness = np.zeros_like(time)
        for formant in range(3):
            centre = np.interp(beat, middles, [VOWELS[vowel][formant][0] for vowel in SYLLABLES])
            weight = np.interp(beat, middles, [VOWELS[vowel][formant][1] for vowel in SYLLABLES])
            loudness += weight * np.exp(-(((harmonic * pitch - centre) / FORMANT_WIDTH) ** 2) / 2)
        sound += (loudness + 0.02) * np.sin(harmonic * phase)
    within = beat % 1.0
    voiced = np.clip(np.sin(np.pi * within) * 1.6 - 0.25, 0, 1)
    hiss = np.random.default_rng(3).standard_normal(len(time)) * np.clip(0.18 - within, 0, 1) * 0.5  # consonants
    pause = np.abs(beat - 9.5) > 0.5  # between two sentences
    sound = (sound / np.abs(sound).max() * voiced + hiss) * pause
    return 0.6 * sound / np.abs(sound).max()


class Canvas:
    """A picture drawn in units of its final pixels."""

    def __init__(self, top: tuple[int, int, int], bottom: tuple[int, int, int], finer: int = FINER) -> None:
        from PIL import Image, ImageDraw

        self._finer = finer
        column = Image.new("RGB", (1, SIZE[1] * finer))
        for y in range(column.height):
            part = y / column.height
            column.putpixel((0, y), tuple(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True)))
        self.image = column.resize((SIZE[0] * finer, SIZE[1] * finer))
        self._draw = ImageDraw.Draw(self.image)

    def _scaled(self, *numbers: float) -> list[float]:
        return [number * self._finer for number in numbers]

    def oval(self, x: float, y: float, rx: float, ry: float, fill: str) -> None:
        """An ellipse around its centre."""
        self._draw.ellipse(self._scaled(x - rx, y - ry, x + rx, y + ry), fill=fill)

    def box(self, x: float, y: float, width: float, height: float, fill: str, corner: float = 0) -> None:
        """A rectangle with round corners."""
        area = self._scaled(x, y, x + width, y + height)
        self._draw.rounded_rectangle(area, radius=corner * self._finer, fill=fill)

    def limb(self, points: list[tuple[float, float]], width: float, fill: str) -> None:
        """A line with round joints and ends."""
        flat = [tuple(self._scaled(*point)) for point in points]
        self._draw.line(flat, fill=fill, width=round(width * self._finer), joint="curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, fill)

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: str, width: float) -> None:
        """Part of an ellipse's outline; degrees, clockwise from the right."""
        area = self._scaled(x - rx, y - ry, x + rx, y + ry)
        self._draw.arc(area, start, end, fill=fill, width=round(width * self._finer))

    def text(self, x: float, y: float, words: str, size: float, fill: str) -> None:
        """Words around a centre."""
        from PIL import ImageFont

        font = ImageFont.load_default(size * self._finer)
        self._draw.text(self._scaled(x, y), words, fill=fill, font=font, anchor="mm")

    def finished(self) -> Image.Image:
        """The picture in its final size."""
        from PIL import Image

        return self.image.resize(SIZE, Image.Resampling.LANCZOS)


def draw_person(path: Path) -> None:
    """A woman in a bright room, hands in front of her."""
    skin, shade, hair, knit, knit_shade = "#eab892", "#d99f78", "#4a2c22", "#2f7f86", "#27696f"
    c = Canvas((244, 239, 230), (223, 210, 193))
    c.box(300, 70, 150, 250, "#ffffff", 6)  # window
    c.box(310, 80, 62, 230, "#cfe6f2", 3)
    c.box(378, 80, 62, 230, "#dcedf5", 3)
    c.box(0, 640, 480, 192, "#c9ab88")  # table's height: sideboard behind her
    c.box(30, 560, 54, 82, "#b4654a", 8)  # plant
    for dx, dy in ((-34, -70), (-12, -104), (16, -96), (38, -62), (0, -58)):
        c.limb([(57, 562), (57 + dx, 562 + dy)], 16, "#5f8f5a")
    c.oval(240, 285, 104, 128, hair)  # hair behind
    c.box(140, 285, 200, 170, hair, 60)
    c.box(208, 380, 64, 90, shade, 24)  # neck
    c.box(96, 448, 288, 520, knit, 84)  # body
    c.oval(240, 452, 56, 36, skin)  # neckline
    c.oval(240, 292, 78, 100, skin)  # head
    c.oval(240, 208, 88, 50, hair)  # fringe
    c.oval(164, 286, 20, 92, hair)
    c.oval(316, 286, 20, 92, hair)
    for side in (-1, 1):
        x = 240 + side * 33
        c.arc(x, 268, 20, 12, 200, 340, hair, 5)  # brow
        c.oval(x, 286, 14, 9, "#ffffff")
        c.oval(x, 286, 7, 8, "#3b2a22")
        c.oval(x + 2, 283, 2, 2, "#ffffff")
        c.oval(240 + side * 48, 326, 15, 9, "#eaa585")  # cheek
    c.arc(240, 306, 12, 16, 20, 150, shade, 4)  # nose
    c.oval(240, 348, 27, 13, "#b4484c")  # mouth, smiling
    c.box(214, 336, 52, 10, skin, 4)
    c.box(222, 345, 36, 6, "#ffffff", 3)
    for side in (-1, 1):
        shoulder, elbow, wrist = (240 + side * 116, 512), (240 + side * 146, 676), (240 + side * 52, 738)
        c.limb([shoulder, elbow, wrist], 66, knit_shade)
        c.oval(240 + side * 30, 746, 34, 26, skin)  # hand
        for finger in range(4):
            y = 730 + finger * 11
            c.limb([(240 + side * 30, y), (240 - side * 2, y + 3)], 12, skin if finger % 2 else shade)
    c.finished().save(path)


def draw_product(path: Path) -> None:
    """A bottle on a plain ground."""
    c = Canvas((250, 247, 242), (232, 224, 214))
    c.oval(240, 726, 150, 24, "#d3c6b6")  # shadow
    c.box(188, 118, 104, 96, "#2b2f38", 12)  # cap
    c.box(188, 190, 104, 10, "#454b58")
    c.box(204, 206, 72, 62, "#d98a4b", 8)  # neck
    c.box(124, 254, 232, 472, "#e39a57", 56)  # body
    c.box(140, 290, 22, 400, "#f3c493", 11)  # light on the glass
    c.box(330, 300, 12, 380, "#c47d3e", 6)
    c.box(150, 370, 180, 250, "#fffaf1", 14)  # label
    c.box(164, 384, 152, 222, "#e9dcc4", 10)
    c.box(167, 387, 146, 216, "#fffaf1", 9)
    c.oval(240, 446, 34, 34, "#d98a4b")
    c.oval(254, 436, 22, 22, "#fffaf1")
    c.text(240, 520, "SOLEA", 38, "#3b2f26")
    c.box(196, 548, 88, 3, "#d98a4b")
    c.text(240, 572, "body oil 100 ml", 14, "#6d5b4c")
    c.finished().save(path)


def tag_colours(stream: Any) -> None:
    """Let a video say that it is BT.709 in limited range, as `in_colours` makes its frames."""
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED


def in_colours(frame: Any) -> Any:
    """An RGB frame in BT.709; left to itself, the encoder takes BT.601."""
    return frame.reformat(format="yuv420p", dst_colorspace=BT709, src_color_range=FULL, dst_color_range=LIMITED)
