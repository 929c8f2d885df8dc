"""A scene's pictures: of a frame in colour and as HOI structure, its labels and boxes, the person, the product."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from . import palette
from .canvas import SCALE, Canvas, developed, oval, plain, polygon
from .figure import DESK_TOP, FACE, HAND_LABELS, PRODUCT, paint
from .palette import HEIGHT, WIDTH, shade
from .pose import Placed, Pose, at_rest, point, pose_at
from .product import draw_product
from .scene import FRAMED, LAMPLIT, SIDES, Room, Scene

Picture = np.ndarray  # [128, 96, 3] uint8, red, green, blue
Labels = np.ndarray  # [384, 288] uint8, three by three to a pixel
Box = list[float]  # left, top, right, bottom in pixels of the picture; right and bottom are behind the last pixel
BLUR = 1.5  # of the wall, in pixels
PRODUCT_SCALE = 2.3  # of the product picture
BOX_FIRST, BOX_STEP = 2, 4  # the training table has a box for frames 2, 6, 10, ...: one per latent
TABLE_HANDS = {"l_h": SIDES["left"], "r_h": SIDES["right"]}


def draw(scene: Scene, pose: Pose) -> Picture:
    """A pose of a scene in colour."""
    canvas = _ground(scene.room).copy()
    paint(canvas, scene.person, scene.product, pose, "picture")
    return developed(canvas)


def draw_hoi(scene: Scene, pose: Pose) -> Picture:
    """The same as a grey body that holds the coloured product, on dark grey."""
    canvas = plain(palette.HOI_GROUND)
    paint(canvas, scene.person, scene.product, pose, "hoi")
    return developed(canvas)


def draw_labels(scene: Scene, pose: Pose) -> Labels:
    """What each part of the picture shows, by the numbers in `figure`; occluded parts are not in it."""
    canvas = plain((0, 0, 0))
    paint(canvas, scene.person, scene.product, pose, "labels")
    return np.ascontiguousarray(canvas[..., 0])


def frame(scene: Scene, number: int) -> Picture:
    """A frame in colour."""
    return draw(scene, pose_at(scene, number))


def frames(scene: Scene, first: int, count: int) -> np.ndarray:
    """Frames in colour, `[count, 128, 96, 3]` uint8."""
    return np.stack([frame(scene, number) for number in range(first, first + count)])


def hoi_frames(scene: Scene, first: int, count: int) -> np.ndarray:
    """HOI structure of the same moments, `[count, 128, 96, 3]` uint8."""
    return np.stack([draw_hoi(scene, pose_at(scene, number)) for number in range(first, first + count)])


def person_picture(scene: Scene) -> Picture:
    """The presenter at rest, without the product."""
    canvas = _ground(scene.room).copy()
    paint(canvas, scene.person, None, at_rest(), "picture")
    return developed(canvas)


def product_picture(scene: Scene) -> Picture:
    """The product alone on white paper."""
    canvas = plain(palette.PAPER)
    placed = Placed(point(WIDTH / 2, HEIGHT / 2), PRODUCT_SCALE * scene.product.size, 0.0)
    draw_product(canvas, scene.product, placed)
    return developed(canvas)


def face_box(labels: Labels) -> Box | None:
    """Around what is seen of the face; None where nothing is."""
    return _box(labels == FACE)


def hand_boxes(labels: Labels) -> dict[str, Box]:
    """Around what is seen of each hand, by the training table's names: `l_h` and `r_h` of the presenter."""
    found = {name: _box(labels == HAND_LABELS[side]) for name, side in TABLE_HANDS.items()}
    return {name: box for name, box in found.items() if box is not None}


def product_box(labels: Labels) -> Box | None:
    """Around what is seen of the product."""
    return _box(labels == PRODUCT)


def training_boxes(scene: Scene, first: int, count: int) -> tuple[dict[str, Box], dict[str, dict[str, Box]]]:
    """The training table's columns `face` and `hand_object` for a clip of `count` frames that begins at `first`.

    Keys are `frame_2`, `frame_6`, ... and count from the clip's beginning; boxes are in pixels.
    """
    face: dict[str, Box] = {}
    hands: dict[str, dict[str, Box]] = {}
    for number in range(BOX_FIRST, count, BOX_STEP):
        labels = draw_labels(scene, pose_at(scene, first + number))
        box = face_box(labels)
        face |= {} if box is None else {f"frame_{number}": box}
        hands[f"frame_{number}"] = hand_boxes(labels)
    return face, hands


@lru_cache(maxsize=8)
def _ground(room: Room) -> Canvas:
    """The room without anybody; blurring it takes longer than everything else of a frame, so it is kept."""
    light = np.linspace(palette.WALL_TOP, palette.WALL_BOTTOM, HEIGHT * SCALE)[:, None, None]
    wall = np.clip(np.array(room.wall)[None, None] * light, 0, 255)
    canvas = np.repeat(wall, WIDTH * SCALE, axis=1).astype(np.uint8)
    across, down = room.place
    if room.decoration == FRAMED:
        left, top = 4 + 6 * across, 8 + 8 * down
        corners = [(left, top), (left + 20, top), (left + 20, top + 26), (left, top + 26)]
        polygon(canvas, corners, shade(room.wall, palette.FRAME_SHADE))
    elif room.decoration == LAMPLIT:
        oval(canvas, point(80 + 6 * across, 14 + 8 * down), (9, 9), palette.LAMP)
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), BLUR * SCALE))
    cv2.rectangle(canvas, (0, DESK_TOP * SCALE), (WIDTH * SCALE, HEIGHT * SCALE), room.desk, cv2.FILLED)
    canvas.setflags(write=False)
    return canvas


def _box(seen: np.ndarray) -> Box | None:
    """Around the marked parts of `[384, 288]` bool."""
    if not seen.any():
        return None
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    sides = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return [round(float(side) / SCALE, 2) for side in sides]
