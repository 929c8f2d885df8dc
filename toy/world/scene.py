"""What a scene is made of: who, with which product, where, doing what with which hand; and its prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import palette
from .chance import CHOICES, between, pick, stream
from .palette import Colour
from .shapes import COMMON_SHAPES, SHAPES

# "left" and "right" are the presenter's own: the right hand is on the left of the picture
LEFT, RIGHT, BOTH = "left", "right", "both"
SIDES = {RIGHT: -1, LEFT: 1}  # the way in the picture
HOLD_UP, LIFT, TURN = "holds up", "lifts", "turns"
BRING, POINT, WAVE = "brings closer", "points at", "waves next to"
ACTIONS = (HOLD_UP, LIFT, TURN, BRING, POINT, WAVE)
TWO_HANDED = (HOLD_UP, LIFT, TURN, BRING)  # in the others the second hand has something else to do
BAND, DISC, STRIPES = range(3)
LABELS = (BAND, DISC, STRIPES)
SENTENCE = "a an presenter in shirt the hand hands"  # words of every prompt
PLAIN, FRAMED, LAMPLIT = range(3)
DECORATIONS = (PLAIN, FRAMED, LAMPLIT)


@dataclass(frozen=True, slots=True)
class Person:
    """A presenter.

    Attributes:
        shirt: name of its colour.
    """

    skin: Colour
    shirt: str
    hair: Colour
    long_hair: bool


@dataclass(frozen=True, slots=True)
class Product:
    """A product.

    Attributes:
        colour: its name.
        label: what is printed on it.
        size: of 1.
    """

    shape: str
    colour: str
    label: int
    size: float

    @property
    def rgb(self) -> Colour:
        """Its colour."""
        return palette.PRODUCTS[self.colour]


@dataclass(frozen=True, slots=True)
class Room:
    """What stands behind.

    Attributes:
        decoration: what is on the wall.
        place: of it, 0-1 to the right and down.
    """

    wall: Colour
    desk: Colour
    decoration: int
    place: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that does not change from frame to frame.

    Attributes:
        seed: of the voice too.
        grip: hand that holds the product: left, right or both.
        phase: of the movement at frame 0, in turns.
        reach: how far the movement goes, of 1.
        lean: of the presenter to the right, in pixels.
        sway: phase of small movements, in radians.
    """

    seed: int
    person: Person
    product: Product
    room: Room
    action: str
    grip: str
    phase: float
    reach: float
    lean: float
    sway: float

    @property
    def holding(self) -> tuple[int, ...]:
        """Sides whose hand holds the product."""
        return (-1, 1) if self.grip == BOTH else (SIDES[self.grip],)

    @property
    def prompt(self) -> str:
        """The scene in words, each with one meaning: a text encoder that knows no order understands it."""
        product = self.product
        article = "an" if product.colour == "orange" else "a"
        hand = "both hands" if self.grip == BOTH else f"the {self.grip} hand"
        return (
            f"a presenter in a {self.person.shirt} shirt {self.action} {article} {product.colour} {product.shape} "
            f"in {hand}"
        )


def scene_of(seed: int) -> Scene:
    """The scene of a seed."""
    random = stream(seed, CHOICES)
    person = Person(
        skin=pick(random, palette.SKINS),
        shirt=pick(random, list(palette.SHIRTS)),
        hair=pick(random, palette.HAIRS),
        long_hair=pick(random, (False, True)),
    )
    room = Room(
        wall=pick(random, palette.WALLS),
        desk=pick(random, palette.DESKS),
        decoration=pick(random, DECORATIONS),
        place=(float(random.random()), float(random.random())),
    )
    product = Product(
        shape=pick(random, COMMON_SHAPES),
        colour=pick(random, list(palette.PRODUCTS)),
        label=pick(random, LABELS),
        size=between(random, 0.92, 1.1),
    )
    action = pick(random, ACTIONS)
    two_handed, one = pick(random, (False, True)), pick(random, (RIGHT, LEFT))
    return Scene(
        seed=seed,
        person=person,
        product=product,
        room=room,
        action=action,
        grip=BOTH if two_handed and action in TWO_HANDED else one,
        phase=float(random.random()),
        reach=between(random, 0.85, 1.15),
        lean=between(random, -2.0, 2.0),
        sway=between(random, 0.0, 2 * math.pi),
    )


def vocabulary() -> tuple[str, ...]:
    """Every word a prompt can hold, sorted; the names of all shapes among them."""
    said = [*palette.SHIRTS, *palette.PRODUCTS, *SHAPES, *ACTIONS, LEFT, RIGHT, BOTH, SENTENCE]
    return tuple(sorted({word for words in said for word in words.split()}))
