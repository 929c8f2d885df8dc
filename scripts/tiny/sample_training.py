"""Write a training table with one row, all of it drawn or synthesised here.

    PYTHONPATH=scripts python scripts/tiny/sample_training.py FOLDER

A figure in a room lifts a bottle and speaks: input video and the motion frames before it, the HOI stream as a grey
figure with the bottle on black, the pose as a stick figure, boxes of face and hands, the sound, both references.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import wave
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiny.drawn import FPS, RATE, SIZE, Canvas, draw_person, draw_product, in_colours, speech, tag_colours

if TYPE_CHECKING:
    import numpy

CLIP, MOTION = 81, 73  # frames, as in the authors' own row: one more than the model reads, and what leads up to it
BOX_EVERY, BOX_FIRST = 4, 2  # frames that have boxes
PROMPT = "A woman in a bright room looks into the camera, speaks with a friendly voice and lifts a bottle."
Point = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """Where the parts of the figure are in a frame, in pixels."""

    head: Point
    neck: Point
    hip: Point
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    wrists: tuple[Point, Point]

    @property
    def bottle(self) -> Point:
        """Middle of the bottle, in the second hand."""
        x, y = self.wrists[1]
        return x, y - 40


def figure(frame: int) -> Figure:
    """The figure in frame `frame`, counted from the start of the clip; motion frames come before 0."""
    swing = 2 * math.pi * frame / FPS / 2.4
    sway = 8 * math.sin(swing / 2)
    head, neck = (240 + sway, 250 + 4 * math.cos(swing)), (240 + sway / 2, 380)
    shoulders = ((140 + sway / 2, 430), (340 + sway / 2, 430))
    lift = 150 * (1 + math.sin(swing)) / 2
    elbows = ((105, 570), (385, 590 - lift / 3))
    wrists = ((150 + sway, 690), (330 + sway, 640 - lift))
    return Figure(head, neck, (240, 800), shoulders, elbows, wrists)


def draw_clip(frame: int) -> numpy.ndarray:
    """The figure in a room, `[H, W, 3]`."""
    f = figure(frame)
    c = Canvas((244, 239, 230), (223, 210, 193), finer=1)
    c.box(300, 70, 150, 250, "#cfe6f2", 6)
    c.box(0, 640, 480, 192, "#c9ab88")
    c.box(110, 410, 260, 420, "#2f7f86", 80)
    c.limb([f.neck, (f.head[0], f.head[1] + 60)], 50, "#d99f78")
    c.oval(f.head[0], f.head[1] - 20, 92, 116, "#4a2c22")
    c.oval(*f.head, 74, 96, "#eab892")
    for side in (-1, 1):
        c.oval(f.head[0] + side * 30, f.head[1] - 10, 8, 8, "#3b2a22")
    c.oval(f.head[0], f.head[1] + 48, 26, 5 + 10 * abs(math.sin(frame / 2.3)), "#b4484c")
    for joints in zip(f.shoulders, f.elbows, f.wrists, strict=True):
        c.limb(list(joints), 58, "#27696f")
    _draw_bottle(c, f)
    for x, y in f.wrists:
        c.oval(x, y, 32, 26, "#eab892")
    return _pixels(c)


def draw_hoi(frame: int) -> numpy.ndarray:
    """The same moment as a grey body with the bottle on black, `[H, W, 3]`."""
    f = figure(frame)
    c = Canvas((0, 0, 0), (0, 0, 0), finer=1)
    c.box(120, 415, 240, 420, "#cfc8bf", 80)
    c.oval(*f.head, 70, 92, "#ded7ce")
    for joints in zip(f.shoulders, f.elbows, f.wrists, strict=True):
        c.limb(list(joints), 50, "#bdb6ad")
    _draw_bottle(c, f)
    for x, y in f.wrists:
        c.oval(x, y, 30, 24, "#e8e2da")
    return _pixels(c)


def draw_pose(frame: int) -> numpy.ndarray:
    """The same moment as a stick figure on black, `[H, W, 3]`."""
    f = figure(frame)
    c = Canvas((0, 0, 0), (0, 0, 0), finer=1)
    c.limb([f.neck, f.hip], 8, "#0055ff")
    c.limb([f.neck, f.head], 8, "#5500ff")
    for joints, colour in zip(zip(f.shoulders, f.elbows, f.wrists, strict=True), ("#ff5500", "#55ff00"), strict=True):
        c.limb([f.neck, *joints], 8, colour)
        c.oval(*joints[-1], 14, 14, "#00aaff")
    return _pixels(c)


def _draw_bottle(c: Canvas, f: Figure) -> None:
    x, y = f.bottle
    c.box(x - 16, y - 110, 32, 40, "#2b2f38", 6)
    c.box(x - 38, y - 76, 76, 150, "#e39a57", 20)
    c.box(x - 28, y - 40, 56, 70, "#fffaf1", 8)


def _pixels(c: Canvas) -> numpy.ndarray:
    import numpy as np

    return np.asarray(c.finished())


def boxes() -> tuple[dict[str, list[float]], dict[str, dict[str, list[float]]]]:
    """Face boxes and hand boxes of every fourth frame, in pixels."""
    face, hands = {}, {}
    for frame in range(BOX_FIRST, CLIP, BOX_EVERY):
        f = figure(frame)
        face[f"frame_{frame}"] = _around(f.head, 74, 96)
        hands[f"frame_{frame}"] = {
            name: _around(wrist, 36, 32) for name, wrist in zip(("r_h", "l_h"), f.wrists, strict=True)
        }
    return face, hands


def _around(middle: Point, across: float, down: float) -> list[float]:
    x, y = middle
    return [round(side) for side in (x - across, y - down, x + across, y + down)]


def write_video(path: Path, frames: Iterable[int], draw: Callable[[int], numpy.ndarray]) -> None:
    """Write drawn frames as mp4 at 25 fps."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        tag_colours(stream)
        for frame in frames:
            file.mux(stream.encode(in_colours(av.VideoFrame.from_ndarray(draw(frame), format="rgb24"))))
        file.mux(stream.encode())


def write(folder: Path) -> None:
    """Write the table and everything it names."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "input.mp4", range(CLIP), draw_clip)
    write_video(folder / "motion.mp4", range(-MOTION, 0), draw_clip)
    write_video(folder / "hoi.mp4", range(CLIP), draw_hoi)
    write_video(folder / "pose.mp4", range(CLIP), draw_pose)
    draw_person(folder / "person.png")
    draw_product(folder / "product.png")
    with wave.open(str(folder / "speech.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((speech()[: CLIP * RATE // FPS] * 32767).astype("<i2").tobytes())
    face, hands = boxes()
    row = {
        "prompt": PROMPT, "input_video": "input.mp4", "motion_video": "motion.mp4", "audio": "speech.wav",
        "person_image": "person.png", "product_image": "product.png", "hoi_video": "hoi.mp4", "pose_video": "pose.mp4",
        "face": json.dumps(face), "hand_object": json.dumps(hands), "height": SIZE[1], "width": SIZE[0],
    }  # fmt: skip
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(row))
        table.writeheader()
        table.writerow(row)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
