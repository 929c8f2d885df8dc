"""Where a contact sheet is drawn: a dark page that grows downwards, with text, pictures and the level of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from torch import Tensor

from .palette import FAINT, INK, LOUD, PANEL, PAPER, RIM, WAVE, Colour, as_image, mixed

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font: TypeAlias = FreeTypeFont | ImageFont

GAP, MARGIN, LABEL = 12, 12, 24
TITLE, TEXT, SMALL = 24, 16, 14  # sizes of the letters
TALLEST = 12000  # of the page before it is cut to what was drawn
HALF_SECOND = 0.5
# fonts of other scripts, by the names systems know them by; Pillow's own has Latin letters only
OTHER_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "wqy-microhei.ttc",
    "arialuni.ttf",
    "DejaVuSans.ttf",
)
NO_LETTER = "\uffff"  # every font draws it as it draws letters it does not have


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of the sheet and what is written over it."""

    label: str
    picture: Image


class Canvas:
    """A page; `y` is where the next thing goes."""

    def __init__(self, width: int) -> None:
        from PIL import Image, ImageDraw

        self._page = Image.new("RGB", (width, TALLEST), PAPER)
        self._draw = ImageDraw.Draw(self._page)
        self._width = width
        self.y = MARGIN

    def title(self, name: str, facts: str, legend: Sequence[tuple[str, Colour]]) -> None:
        """The first line: a name, what there is to know, and colours with their meaning on the right."""
        large, small = _font(name, TITLE), _font(facts, TEXT)
        base = self.y + TITLE
        self._draw.text((MARGIN, base), name, fill=INK, font=large, anchor="ls")
        x = MARGIN + self._draw.textlength(name, font=large) + 2 * GAP
        self._draw.text((x, base), facts, fill=INK, font=small, anchor="ls")
        x = self._width - MARGIN
        for word, colour in legend:
            x -= self._draw.textlength(word, font=small)
            self._draw.text((x, base), word, fill=FAINT, font=small, anchor="ls")
            x -= 8 + TEXT
            self._draw.rectangle((x, base - TEXT + 3, x + TEXT - 2, base + 1), fill=mixed(colour, PAPER, 0.42))
            self._draw.rectangle((x, base - TEXT + 3, x + TEXT - 2, base + 1), outline=colour, width=2)
            x -= 2 * GAP
        self.y = base + GAP

    def write(self, text: str, *, lines: int | None = None, bullet: bool = False) -> None:
        """Text over the whole width, in at most so many lines, as a point of a list if it is one."""
        font, indent = _font(text, TEXT), 18 if bullet else 0
        if bullet:
            middle = self.y + TEXT / 2 + 2
            self._draw.ellipse((MARGIN + 4, middle - 2, MARGIN + 8, middle + 2), fill=FAINT)
        wrapped = self._wrapped(" ".join(text.split()), font, self._width - 2 * MARGIN, indent)
        if lines is not None and len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], f"{wrapped[lines - 1][:-2].rstrip()}…"]
        for line in wrapped:
            self._draw.text((MARGIN + indent, self.y), line, fill=FAINT, font=font)
            self.y += TEXT + 6
        self.y += 4

    def picture(self, x: int, y: int, cell: tuple[int, int], shown: Shown) -> None:
        """A picture scaled to `cell` under its label."""
        from PIL import Image

        self._draw.text((x, y + LABEL - 6), shown.label, fill=FAINT, font=_font(shown.label, SMALL), anchor="ls")
        self._page.paste(shown.picture.resize(cell, Image.Resampling.LANCZOS), (x, y + LABEL))
        self._draw.rectangle((x - 1, y + LABEL - 1, x + cell[0], y + LABEL + cell[1]), outline=RIM)

    def wave(self, label: str, samples: np.ndarray, seconds: float, marks: Sequence[float], height: int) -> None:
        """Peaks and mean level of a sound `[T]` in a panel, with times below and lines at `marks` (seconds)."""
        draw, font = self._draw, _font(label, SMALL)
        left, right = MARGIN + GAP, self._width - MARGIN - GAP
        top, bottom = self.y + LABEL, self.y + height - LABEL
        draw.rectangle((MARGIN, self.y, self._width - MARGIN, self.y + height), fill=PANEL, outline=RIM)
        draw.text((left, self.y + LABEL - 5), label, fill=FAINT, font=font, anchor="ls")
        middle, reach = (top + bottom) / 2, (bottom - top) / 2 - 2
        parts = np.array_split(samples, right - left)
        loudest = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
        for column, part in enumerate(parts):
            if part.size:
                levels = (float(np.abs(part).max()), float(np.sqrt(np.mean(part.astype(np.float64) ** 2))))
                for level, colour in zip(levels, (WAVE, LOUD), strict=True):
                    tall = max(0.5, level / loudest * reach)
                    draw.line((left + column, middle - tall, left + column, middle + tall), fill=colour)
        for mark in marks:
            x = left + mark / seconds * (right - left)
            draw.line((x, top, x, bottom), fill=INK)
            draw.polygon(((x - 5, top - 1), (x + 5, top - 1), (x, top + 7)), fill=INK)
        for half in range(int(seconds / HALF_SECOND + 1e-6) + 1):
            x = left + half * HALF_SECOND / seconds * (right - left)
            anchor = "ls" if half == 0 else "rs" if x > right - GAP else "ms"
            draw.line((x, bottom + 1, x, bottom + 5), fill=FAINT)
            draw.text((x, bottom + LABEL - 3), f"{half * HALF_SECOND:g} s", fill=FAINT, font=font, anchor=anchor)
        self.y += height + GAP

    def finished(self) -> Tensor:
        """What was drawn, `[1, H, W, 3]` in 0-1."""
        page = self._page.crop((0, 0, self._width, min(self.y + MARGIN, TALLEST)))
        return as_image(page)

    def _wrapped(self, text: str, font: Font, width: int, indent: int) -> list[str]:
        """Lines that fit, broken at blanks, or anywhere in words longer than a line."""
        lines, line = [], ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if self._draw.textlength(longer, font=font) <= width - indent:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while self._draw.textlength(line, font=font) > width - indent:
                fits = len(line) - 1
                while self._draw.textlength(line[:fits], font=font) > width - indent:
                    fits -= 1
                lines.append(line[:fits])
                line = line[fits:]
        return [*lines, line]


def _font(text: str, size: int) -> Font:
    """Pillow's own font, or one of the system's where that has not all letters of the text."""
    from PIL import ImageFont

    own = ImageFont.load_default(size=size)
    if text.isascii() or _covers(own, text):
        return own
    for name in OTHER_FONTS:
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue  # not on this system
        if _covers(font, text):
            return font
    return own


def can_write(text: str) -> bool:
    """Whether a font of this system has all letters of a text."""
    return text.isascii() or _covers(_font(text, TEXT), text)


def _covers(font: Font, text: str) -> bool:
    missing = bytes(font.getmask(NO_LETTER))
    others = {letter for letter in text if not letter.isascii() and not letter.isspace()}
    return all(bytes(font.getmask(letter)) != missing for letter in others)
