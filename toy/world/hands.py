"""Fingers: where each is, from a hand's form, and how they are drawn so that each keeps its own line."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Canvas, limb, oval
from .palette import Colour
from .pose import GRIPPING, OPEN, POINTING, Hand, Point, point, towards

PALM = 7.0  # pixels from the middle of a palm to its edge, about
FINGER, THUMB, GRIPPING_THUMB = 2.1, 2.3, 2.4  # radii
LINE = 0.75  # between fingers
INSET = 1.2  # of a palm's light part
FOUR = (-3, -1, 1, 3)  # places of fingers side by side
GRIP_STEP, REST_STEP = 2.2, 2.1  # from finger to finger, half of it
OPEN_ANGLE = 0.22  # radians, half of that from finger to finger
CURLED = ((-5.8, 6.0), (-1.8, 6.0))  # places and lengths of fingers that do not point


@dataclass(frozen=True, slots=True)
class Finger:
    """A finger: from where to where, how thick, and whether it lies in front of what the hand holds."""

    begin: Point
    end: Point
    radius: float
    in_front: bool = True


def fingers(hand: Hand, side: int) -> list[Finger]:
    """The fingers of a hand, in the order they are drawn.

    Args:
        side: of the hand; thumbs are on its inner side.
    """
    ahead = towards(hand.angle)
    across = point(-ahead[1], ahead[0])
    up = across * (-1 if across[1] > 0 else 1)  # to the side of the hand that is up in the picture
    if hand.form == GRIPPING:
        return _gripping(hand, ahead, across, up)
    if hand.form == POINTING:
        return _pointing(hand, ahead, up)
    if hand.form == OPEN:
        return _open(hand, ahead, across * (-side if across[0] > 0 else side))
    return _resting(hand, ahead, across)


def palm_axes(hand: Hand) -> tuple[float, float]:
    """Half the length and width of a palm."""
    return (PALM - 0.4, PALM) if hand.form in (OPEN, POINTING) else (PALM - 0.6, PALM + 0.6)


def draw_hand(canvas: Canvas, hand: Hand, side: int, skin: Colour, line: Colour, *, thumb_only: bool) -> None:
    """A hand, or that part of it that lies in front of what it holds."""
    length, width = palm_axes(hand)
    if not thumb_only:
        oval(canvas, hand.at, (length + LINE, width + LINE), line, hand.angle)
    for finger in fingers(hand, side):
        if (finger.in_front and hand.holds) == thumb_only:
            limb(canvas, finger.begin, finger.end, finger.radius + LINE, line)
            limb(canvas, finger.begin, finger.end, finger.radius, skin)
    if not thumb_only:
        oval(canvas, hand.at, (length - INSET, width - INSET), skin, hand.angle)


def _gripping(hand: Hand, ahead: Point, across: Point, up: Point) -> list[Finger]:
    """Four fingers behind the product, the thumb in front of it."""
    places = [GRIP_STEP * place * hand.spread for place in FOUR]
    behind = [
        Finger(hand.at + across * place * 0.8, hand.at + across * place + ahead * 10.5, FINGER, in_front=False)
        for place in places
    ]
    return [*behind, Finger(hand.at + up * 3.0, hand.at + up * 6.0 + ahead * 9.5, GRIPPING_THUMB)]


def _open(hand: Hand, ahead: Point, inwards: Point) -> list[Finger]:
    """Five fingers apart, the thumb towards the head."""
    ways = [towards(hand.angle + OPEN_ANGLE * place * hand.spread) for place in FOUR]
    thumb = Finger(hand.at, hand.at + ahead * 3 + inwards * 12.5, THUMB)
    return [*(Finger(hand.at + way * 4, hand.at + way * 16.5, FINGER) for way in ways), thumb]


def _pointing(hand: Hand, ahead: Point, up: Point) -> list[Finger]:
    """The first finger ahead, the thumb up, the others bent."""
    curled = [Finger(hand.at + up * place, hand.at + up * place + ahead * length, FINGER) for place, length in CURLED]
    first = hand.at + up * 2.4
    thumb = Finger(hand.at, hand.at + up * 9.5 + ahead * 3.5, THUMB)
    return [*curled, Finger(first, first + ahead * 17.5, FINGER), thumb]


def _resting(hand: Hand, ahead: Point, across: Point) -> list[Finger]:
    """Four fingers on the desk."""
    places = [REST_STEP * place * hand.spread for place in FOUR]
    return [Finger(hand.at + across * place, hand.at + across * place * 1.1 + ahead * 9.5, FINGER) for place in places]
