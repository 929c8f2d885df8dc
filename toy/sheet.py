"""Draw the contact sheet of the world: `python -m toy.sheet OUT.png [--scale 2] [--first SEED]`.

A row is a scene: person, product, frames of its movement, the HOI structure of the last one, and its boxes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .files import write_page
from .held_out import LESSON, PARTS, TEST
from .world.palette import HEIGHT, WIDTH, Colour
from .world.pose import pose_at
from .world.render import (
    Box,
    draw,
    draw_hoi,
    draw_labels,
    face_box,
    frame,
    hand_boxes,
    person_picture,
    product_box,
    product_picture,
)
from .world.scene import ACTIONS, BOTH, LEFT, RIGHT, Scene
from .world.shapes import COMMON_SHAPES

HEADS = ("person", "product", "frame 4", "frame 15", "frame 26", "HOI structure", "boxes")
FRAMES = (4, 15, 26)
GRIPS = (RIGHT, BOTH, LEFT, BOTH, LEFT, RIGHT)  # of the actions in their order
GAP, MARGIN, LINE = 4, 8, 18  # pixels of the sheet
INK, PAPER = (45, 45, 55), (255, 255, 255)
TEXT_SIZE = 0.42
FACE_COLOUR, PRODUCT_COLOUR = (40, 120, 255), (20, 20, 20)
HAND_COLOURS = {"l_h": (255, 60, 60), "r_h": (255, 170, 0)}


def scenes_of_sheet(first: int | None = None) -> list[Scene]:
    """One held-out scene of each action, shapes and hands in turn, and one with the product of the lesson."""
    chosen: list[Scene] = []
    scenes = PARTS[TEST].scenes(first)  # of one series, so that no person is chosen for every row
    for number, (action, grip) in enumerate(zip(ACTIONS, GRIPS, strict=True)):
        shape = COMMON_SHAPES[number % len(COMMON_SHAPES)]
        chosen.append(next(s for s in scenes if (s.action, s.grip, s.product.shape) == (action, grip, shape)))
    return [*chosen, next(PARTS[LESSON].scenes())]


def sheet(scenes: Sequence[Scene], scale: int = 2) -> np.ndarray:
    """The contact sheet, `[H, W, 3]` uint8."""
    width, height = WIDTH * scale + GAP, HEIGHT * scale + LINE + GAP
    page = np.full((LINE + height * len(scenes) + MARGIN, width * len(HEADS) + 2 * MARGIN, 3), PAPER, np.uint8)
    for column, head in enumerate(HEADS):
        _write(page, head, MARGIN + column * width, LINE - 5)
    for row, scene in enumerate(scenes):
        top = LINE + row * height
        _write(page, scene.prompt, MARGIN, top + LINE - 5)
        for column, picture in enumerate(_row(scene, scale)):
            left = MARGIN + column * width
            page[top + LINE : top + LINE + HEIGHT * scale, left : left + WIDTH * scale] = picture
    return page


def boxes_drawn(scene: Scene, number: int, scale: int) -> np.ndarray:
    """A frame, enlarged, with the boxes of face, hands and product."""
    pose = pose_at(scene, number)
    labels = draw_labels(scene, pose)
    picture = _enlarged(draw(scene, pose), scale)
    _outline(picture, product_box(labels), PRODUCT_COLOUR, scale)
    _outline(picture, face_box(labels), FACE_COLOUR, scale)
    for name, box in hand_boxes(labels).items():
        _outline(picture, box, HAND_COLOURS[name], scale)
    return picture


def _row(scene: Scene, scale: int) -> list[np.ndarray]:
    hoi = draw_hoi(scene, pose_at(scene, FRAMES[-1]))
    shown = [person_picture(scene), product_picture(scene), *(frame(scene, number) for number in FRAMES), hoi]
    return [*(_enlarged(picture, scale) for picture in shown), boxes_drawn(scene, FRAMES[-1], scale)]


def _enlarged(picture: np.ndarray, scale: int) -> np.ndarray:
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


def _outline(picture: np.ndarray, box: Box | None, colour: Colour, scale: int) -> None:
    if box is not None:
        left, top, right, bottom = (round(side * scale) for side in box)
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, 1)


def _write(page: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(page, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, TEXT_SIZE, INK, 1, cv2.LINE_AA)


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m toy.sheet", description=str(__doc__).split(":", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="a .png")
    parser.add_argument("--scale", type=int, default=2, help="how much pictures are enlarged")
    parser.add_argument("--first", type=int, metavar="SEED", help="test scenes from this seed on")
    options = parser.parse_args(arguments)
    write_page(options.out, sheet(scenes_of_sheet(options.first), options.scale))
    sys.stderr.write(f"{options.out} has {options.out.stat().st_size / 1000:.0f} kB.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
