"""Where everything is in a frame: the exact truth that the drawing, the boxes and the metrics share.

Points are `[2]` arrays, x to the right and y down, in pixels of the picture; angles are in radians, clockwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .palette import FPS, WIDTH
from .scene import BOTH, BRING, HOLD_UP, LIFT, POINT, TURN, WAVE, Scene
from .shapes import GRIP, GRIP_HEIGHT, distance, outline, palm_place, turned
from .voice import frame_loudness

GRIPPING, POINTING, OPEN, RESTING = "gripping", "pointing", "open", "resting"  # forms of a hand
PERIOD = 1.8  # seconds of a movement
HEAD_HEIGHT = 32.0  # of the middle of a head
PRODUCT_HEIGHT = 92.0
CHIN = 56.0  # no product stands higher
ONE_HANDED = 13.0  # a product in one hand is so far to that hand's side
ROOM, ROOM_TO_WAVE = -3.0, 3.5  # of the presenter to that side, so that both hands stay in the picture
LIFTED, HELD_UP = 24.0, 10.0
GROWN = 0.4  # of a product that is brought closer
TURNED = 0.6  # radians
WAVED = 0.4
BESIDE = 22.0  # from a product to the palm that points at it: the finger ends before the outline
WAVING = (32.0, 58.0)  # beside the presenter's middle, and down
RESTING_AT = (24.0, 113.0)
SPLAYED = 0.9  # radians a resting hand is turned inwards
Point = np.ndarray


@dataclass(frozen=True, slots=True)
class Hand:
    """A hand.

    Attributes:
        at: middle of its palm.
        angle: its fingers show there.
        form: what it does with its fingers.
        spread: how far its fingers are apart, of 1; less is a fault that metrics are tried on.
    """

    at: Point
    angle: float
    form: str
    spread: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether it has the product."""
        return self.form == GRIPPING


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the product is: its centre, its scale of 1, and how far it is turned."""

    at: Point
    scale: float
    angle: float


@dataclass(frozen=True, slots=True)
class Pose:
    """A frame.

    Attributes:
        middle: x of the presenter.
        mouth: how far it is open, 0-1.
        product: None where there is none.
        hands: by side, -1 for the right hand, which is on the left of the picture.
    """

    middle: float
    head: Point
    mouth: float
    product: Placed | None
    hands: Mapping[int, Hand] = field(default_factory=dict)


def point(x: float, y: float) -> Point:
    """A place or a way."""
    return np.array((x, y), dtype=np.float64)


def towards(angle: float) -> Point:
    """The way of an angle, of length 1."""
    return point(math.cos(angle), math.sin(angle))


def pose_at(scene: Scene, frame: int) -> Pose:
    """Where everything is in a frame, however far it is from the first."""
    time = frame / FPS
    middle = _middle(scene, time)
    turn = 2 * math.pi * (time / PERIOD + scene.phase)
    product = _product(scene, middle, turn)
    hands = {
        side: _holding(scene, product, side) if side in scene.holding else _other(scene, product, middle, turn, side)
        for side in (-1, 1)
    }
    head = point(middle + 0.6 * math.sin(3 * time + scene.sway), HEAD_HEIGHT + 0.6 * math.sin(4 * time))
    return Pose(middle, head, float(frame_loudness(scene.seed, frame, 1)[0]), product, hands)


def at_rest() -> Pose:
    """The presenter of the person picture: hands on the desk, mouth closed, no product."""
    middle = WIDTH / 2
    hands = {side: _resting(middle, side) for side in (-1, 1)}
    return Pose(middle, point(middle, HEAD_HEIGHT), 0.0, None, hands)


def grip_distances(scene: Scene, pose: Pose) -> dict[int, float]:
    """From the middle of each palm that holds to the product's outline, in pixels: `GRIP` in every frame."""
    if pose.product is None:
        return {}
    product = pose.product
    corners = outline(scene.product.shape) * product.scale
    found = {}
    for side, hand in pose.hands.items():
        if hand.holds:
            x, y = turned(hand.at - product.at, -product.angle)
            found[side] = distance(corners, (float(x), float(y)))
    return found


def elbow(middle: float, side: int, wrist: Point) -> Point:
    """Where an elbow is: arms are foreshortened, so it follows the wrist a little and never flips."""
    follows = 0.2 * (wrist - point(middle + side * 20, 100))
    outwards = max(29.0, 35 + side * float(follows[0]))
    return point(middle + side * outwards, 101 + float(follows[1]))


def _middle(scene: Scene, time: float) -> float:
    """The presenter makes room for the product, and more of it for a hand that waves."""
    side = 0 if scene.grip == BOTH else scene.holding[0]
    room = side * (ROOM_TO_WAVE if scene.action == WAVE else ROOM)
    return WIDTH / 2 + scene.lean + 0.8 * math.sin(2 * time + scene.sway) + room


def _product(scene: Scene, middle: float, turn: float) -> Placed:
    side = 0 if scene.grip == BOTH else scene.holding[0]
    at, scale, angle = point(middle + side * ONE_HANDED, PRODUCT_HEIGHT), scene.product.size, 0.0
    up = 0.5 - 0.5 * math.cos(turn)  # from 0 to 1 and back in each period
    if scene.action == LIFT:
        at += point(0, 3 - up * LIFTED * scene.reach)
    elif scene.action == TURN:
        angle = TURNED * math.sin(turn) * scene.reach
    elif scene.action == BRING:
        scale *= 1 + GROWN * up
        at += point(-7 * side * up, 2 * up)
    elif scene.action == HOLD_UP:
        at += point(1.5 * math.sin(turn), -HELD_UP + 1.5 * math.cos(turn))
    elif scene.action == POINT:
        at += point(side, 1.2 * math.sin(turn))
    else:
        at += point(0, -2 + 1.2 * math.sin(turn))
    top = float(outline(scene.product.shape)[:, 1].min()) * scale
    at[1] = max(at[1], CHIN - top)
    return Placed(at, scale, angle)


def _holding(scene: Scene, product: Placed, side: int) -> Hand:
    """A palm beside the surface, fingers behind the product, the thumb in front of it."""
    beside = point(side * palm_place(scene.product.shape, product.scale), GRIP_HEIGHT)
    away = math.pi if side > 0 else 0.0
    return Hand(product.at + turned(beside, product.angle), product.angle + away, GRIPPING)


def _other(scene: Scene, product: Placed, middle: float, turn: float, side: int) -> Hand:
    """The hand that does not hold the product."""
    if scene.action == POINT:
        edge = palm_place(scene.product.shape, product.scale)
        at = product.at + point(side * (edge - GRIP + BESIDE + 2 * math.sin(2 * turn)), -1)
        way = product.at - at
        return Hand(at, math.atan2(way[1], way[0]), POINTING)
    if scene.action == WAVE:
        at = point(middle + side * WAVING[0], WAVING[1])
        return Hand(at, -math.pi / 2 + WAVED * math.sin(2 * turn), OPEN)
    return _resting(middle, side)


def _resting(middle: float, side: int) -> Hand:
    return Hand(point(middle + side * RESTING_AT[0], RESTING_AT[1]), math.pi / 2 + side * SPLAYED, RESTING)
