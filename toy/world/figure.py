"""How a presenter is painted, from the back to the front: in colour, as HOI structure, or as labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from .canvas import Canvas, limb, oval, polygon
from .hands import draw_hand
from .palette import IRIS, LINE_SHADE, LIP, LOWER_ARM, MOUTH, SHADOW, SHIRTS, UPPER_ARM, WHITE, Colour, shade
from .pose import Hand, Pose, elbow, point, towards
from .product import draw_product
from .scene import Person, Product

Mode = Literal["picture", "hoi", "labels"]
Ink = Callable[[Colour, int, int], Colour]
DESK_TOP = 119  # pixels from above
BODY, NECK, FACE, RIGHT_HAND, LEFT_HAND, ARM, PRODUCT = range(1, 8)  # labels; 0 is what is behind
HAND_LABELS = {-1: RIGHT_HAND, 1: LEFT_HAND}
FACE_AXES = (14.5, 18.0)  # half of its width and height
MOUTH_BELOW = 10.2  # the middle of the head
MOUTH_HALF_WIDTH, LIPS_CLOSED, LIPS_OPEN = 6.2, 1.6, 3.6  # half heights: closed, and what opening adds
GAP_HALF_WIDTH, GAP_CLOSED, GAP_OPEN = 4.7, 0.3, 3.2
WRIST = 4.5  # behind the middle of a palm
SHOULDER = (20, 68)
ARM_RADII = (7.0, 6.2, 4.8)  # shoulder, elbow, wrist
# greys of the HOI structure: a body mesh without colours, hands lightest
NECK_GREY, BODY_GREY, COLLAR_GREY, FACE_GREY, UPPER_ARM_GREY, LOWER_ARM_GREY = 175, 160, 180, 205, 140, 150
HAND_GREY, LINE_GREY = 225, 140


def ink_of(mode: Mode) -> Ink:
    """What chooses among a part's colour, its grey and its label."""

    def ink(colour: Colour, grey: int, label: int) -> Colour:
        flat = grey if mode == "hoi" else label
        return colour if mode == "picture" else (flat, flat, flat)

    return ink


def paint(canvas: Canvas, person: Person, product: Product | None, pose: Pose, mode: Mode) -> None:
    """A presenter in a pose, with the product unless it is None, on a canvas that shows the room or nothing."""
    ink = ink_of(mode)
    if mode == "picture":
        _hair(canvas, person, pose)
    _body(canvas, person, pose, ink)
    oval(canvas, pose.head, FACE_AXES, ink(person.skin, FACE_GREY, FACE))
    if mode == "picture":
        _face(canvas, person, pose)
    order = sorted(pose.hands, key=lambda side: pose.hands[side].holds)
    for side in order:
        _arm(canvas, person, pose, side, ink)
    for side in order:
        _hand(canvas, person, pose.hands[side], side, ink, thumb_only=False)
    if product is not None and pose.product is not None:
        draw_product(canvas, product, pose.product, (PRODUCT,) * 3 if mode == "labels" else None)
    for side in order:
        if pose.hands[side].holds:
            _hand(canvas, person, pose.hands[side], side, ink, thumb_only=True)


def _hair(canvas: Canvas, person: Person, pose: Pose) -> None:
    head = pose.head
    oval(canvas, head + point(0, -4), (17, 18.5), person.hair)
    if person.long_hair:
        corners = [head + point(*corner) for corner in ((-17, -4), (17, -4), (17.5, 25), (-17.5, 25))]
        polygon(canvas, corners, person.hair)


def _body(canvas: Canvas, person: Person, pose: Pose, ink: Ink) -> None:
    x, foot = pose.middle, DESK_TOP
    limb(canvas, point(x, 44), point(x, 56), 6, ink(shade(person.skin, SHADOW), NECK_GREY, NECK))
    right = [(8, 56), (20, 61.5), (24, 68), (25, foot)]
    outline = [(x + across, y) for across, y in right] + [(x - across, y) for across, y in reversed(right)]
    polygon(canvas, outline, ink(SHIRTS[person.shirt], BODY_GREY, BODY))
    collar = [(x - 7.5, 55.5), (x + 7.5, 55.5), (x, 65.0)]
    polygon(canvas, collar, ink(person.skin, COLLAR_GREY, NECK))


def _face(canvas: Canvas, person: Person, pose: Pose) -> None:
    head = pose.head
    for side in (-1, 1):
        eye = head + point(side * 6, -2.5)
        oval(canvas, eye, (3.5, 2.9), WHITE)
        oval(canvas, eye, (1.9, 2.1), IRIS)
        brow = (head + point(side * 3.4, -8.2), head + point(side * 8.8, -8.0))
        limb(canvas, *brow, 1.0, shade(person.hair, 0.9))
    limb(canvas, head, head + point(0, 3.5), 1.1, shade(person.skin, SHADOW))
    lips = head + point(0, MOUTH_BELOW)
    oval(canvas, lips, (MOUTH_HALF_WIDTH, LIPS_CLOSED + LIPS_OPEN * pose.mouth), LIP)
    oval(canvas, lips, (GAP_HALF_WIDTH, GAP_CLOSED + GAP_OPEN * pose.mouth), MOUTH)
    oval(canvas, head + point(0, -15), (13.2, 5.4), person.hair)  # fringe


def _arm(canvas: Canvas, person: Person, pose: Pose, side: int, ink: Ink) -> None:
    hand = pose.hands[side]
    wrist = hand.at - towards(hand.angle) * WRIST
    bend = elbow(pose.middle, side, wrist)
    shoulder = point(pose.middle + side * SHOULDER[0], SHOULDER[1])
    sleeve = SHIRTS[person.shirt]
    wide, middle, narrow = ARM_RADII
    limb(canvas, shoulder, bend, wide, ink(shade(sleeve, UPPER_ARM), UPPER_ARM_GREY, ARM), middle)
    limb(canvas, bend, wrist, middle, ink(shade(sleeve, LOWER_ARM), LOWER_ARM_GREY, ARM), narrow)


def _hand(canvas: Canvas, person: Person, hand: Hand, side: int, ink: Ink, *, thumb_only: bool) -> None:
    label = HAND_LABELS[side]
    skin, line = ink(person.skin, HAND_GREY, label), ink(shade(person.skin, LINE_SHADE), LINE_GREY, label)
    draw_hand(canvas, hand, side, skin, line, thumb_only=thumb_only)
