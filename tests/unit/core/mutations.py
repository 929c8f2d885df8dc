"""Texts and bytes that were damaged in every way users' files are, drawn from a seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

# what breaks readers: deep nesting, long numbers, halves of characters, ends of lines, names of no number
NASTY = [
    "[" * 20_000, "{" * 5_000, '{"a":' * 3_000, "9" * 5_000, "-" + "9" * 400, "0x" + "f" * 5_000, "1e999", "-1e400",
    "NaN", "Infinity", "-Infinity", "nan", "inf", "null", "true", "\x00", "\ud800", "\ufeff", "\u2028", "\r", "\r\n",
    "\n\n", '"', '""', "'", "\\", "\\u0000", "\\ud800", ",", ";", "\t", "%", "..", "/", "//", "=", "[]", "{}", "[[]]",
    "-1", "0", "1.5", "²", "٣", "१", "é", "\U0001f600", "\u202e", "a" * 300, "a/" * 3_000, "a." * 3_000, "_", "-", "#",
    "[run]", "[[run]]", "a=1\n", "x=" + "[" * 3_000, "frame_", "frame_" + "9" * 5_000, "l_h", ".weight", ".alpha",
    "base_model.model." * 2_000, "lora_unet_", "blocks.", ".lora_A.weight", "---", "———",
]  # fmt: skip


def mutated(text: str, draw: random.Random, others: Sequence[str]) -> str:
    """`text` after one to four changes."""
    for _ in range(draw.randint(1, 4)):
        text = draw.choice(CHANGES)(text, draw, others)
    return text


def mutated_bytes(data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    """`data` after one to four changes."""
    for _ in range(draw.randint(1, 4)):
        begin, end = _range(len(data), draw)
        kind = draw.randrange(6)
        if kind == 0:
            data = data[:begin] + data[end:]
        elif kind == 1:
            data = data[:begin] + draw.randbytes(draw.randint(1, 8)) + data[end:]
        elif kind == 2:
            data = data[:end] + data[begin:end] * draw.randint(1, 3) + data[end:]
        elif kind == 3:
            data = data[:begin] + draw.choice(others)[begin:]
        elif kind == 4:
            data = data[:begin] + draw.choice(NASTY).encode("utf-8", "surrogatepass") + data[begin:]
        else:
            data = struct.pack("<Q", draw.choice([0, 1, 7, 1 << 31, 1 << 63, len(data)])) + data[8:]
    return data


def _range(length: int, draw: random.Random) -> tuple[int, int]:
    begin = draw.randint(0, length)
    return begin, min(length, begin + draw.choice([0, 1, 1, 2, 8, 64]))


def _cut(text: str, draw: random.Random, _others: Sequence[str]) -> str:
    begin, end = _range(len(text), draw)
    return text[:begin] + text[end:]


def _insert(text: str, draw: random.Random, _others: Sequence[str]) -> str:
    begin, end = _range(len(text), draw)
    return text[:begin] + draw.choice(NASTY) + text[draw.choice([begin, end]) :]


def _repeat(text: str, draw: random.Random, _others: Sequence[str]) -> str:
    begin, end = _range(len(text), draw)
    return text[:end] + text[begin:end] * draw.choice([1, 2, 100]) + text[end:]


def _join(text: str, draw: random.Random, others: Sequence[str]) -> str:
    other = draw.choice(others)
    return text[: _range(len(text), draw)[0]] + other[_range(len(other), draw)[0] :]


def _sign(text: str, draw: random.Random, _others: Sequence[str]) -> str:
    begin, end = _range(len(text), draw)
    return text[:begin] + chr(draw.choice([draw.randrange(128), draw.randrange(0x110000)])) + text[end:]


def _number(text: str, draw: random.Random, _others: Sequence[str]) -> str:
    """Another number in the place of one."""
    places = [place for place, sign in enumerate(text) if sign.isdigit()]
    if not places:
        return text
    place = draw.choice(places)
    value = draw.choice(["-1", "0", "0.5", "1e400", "-1e400", "9" * 400, "9" * 5_000, "1e-400", "NaN", '"7"', "null"])
    return text[:place] + value + text[place + 1 :]


CHANGES: list[Callable[[str, random.Random, Sequence[str]], str]] = [_cut, _insert, _repeat, _join, _sign, _number]
