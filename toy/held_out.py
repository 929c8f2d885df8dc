"""What training never sees, named once: seeds, combinations, and the shape of the demo's lesson.

Words have no meaning before something is learnt with them, so an action is held out with one hand and not altogether:
whoever understood “lifts” and “the left hand” can do both at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from .world.scene import BOTH, BRING, DISC, LEFT, LIFT, RIGHT, TURN, WAVE, Product, Scene, scene_of
from .world.shapes import BALL, BOTTLE, BOX, CAN, HEART

TRAINING, VALIDATION, TEST, UNSEEN, LESSON = "training", "validation", "test", "unseen", "lesson"
FIRST_SEEDS = {TRAINING: 0, VALIDATION: 900_000, TEST: 1_000_000, UNSEEN: 1_100_000, LESSON: 1_200_000}
SEEDS_OF_A_PART = 100_000  # of all parts but training, which has those below the others
TEST_SCENES = 32  # of a measurement
# colours with shapes: each colour and each shape once
UNSEEN_PRODUCTS = frozenset({("red", CAN), ("green", BOX), ("yellow", BOTTLE), ("orange", BALL)})
UNSEEN_ACTIONS = frozenset({(LIFT, LEFT), (BRING, RIGHT), (TURN, BOTH), (WAVE, LEFT)})
LESSON_SHAPE = HEART  # no scene of training has it; the demo teaches it
LESSON_COLOUR, LESSON_LABEL = "red", DISC
LESSON_ROWS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """Scenes of one use: the seeds they come from, and what of them is taken.

    Attributes:
        first: seed.
        end: the first seed behind it.
    """

    name: str
    first: int
    end: int

    def takes(self, scene: Scene) -> bool:
        """Whether a scene of its seeds belongs to it."""
        return self.name == LESSON or is_unseen(scene) == (self.name == UNSEEN)

    def scene(self, seed: int) -> Scene:
        """The scene of a seed, as this part has it."""
        scene = scene_of(seed)
        return as_lesson(scene) if self.name == LESSON else scene

    def scenes(self, first: int | None = None) -> Iterator[Scene]:
        """Its scenes from a seed on.

        Raises:
            ValueError: a seed of another part, or none left.
        """
        first = self.first if first is None else first
        if not self.first <= first < self.end:
            seeds = f"{self.first} to {self.end - 1}"
            raise ValueError(f"seed {first} is not of {self.name}, whose seeds are {seeds}; choose one of them.")
        for seed in count(first):
            if seed >= self.end:
                raise ValueError(f"{self.name} has no scenes behind seed {self.end - 1}; begin earlier, or take fewer.")
            scene = self.scene(seed)
            if self.takes(scene):
                yield scene

    def take(self, number: int, first: int | None = None) -> list[Scene]:
        """So many scenes from a seed on."""
        return list(islice(self.scenes(first), number))


def is_unseen(scene: Scene) -> bool:
    """Whether training leaves a scene out for its product or for its action with this hand."""
    product = (scene.product.colour, scene.product.shape)
    return product in UNSEEN_PRODUCTS or (scene.action, scene.grip) in UNSEEN_ACTIONS


def as_lesson(scene: Scene) -> Scene:
    """A scene with the product of the lesson: one shape, colour and label, so that three rows can teach it."""
    return replace(scene, product=Product(LESSON_SHAPE, LESSON_COLOUR, LESSON_LABEL, scene.product.size))


def _parts() -> dict[str, Part]:
    ends = {name: first + SEEDS_OF_A_PART for name, first in FIRST_SEEDS.items()}
    ends[TRAINING] = FIRST_SEEDS[VALIDATION]
    return {name: Part(name, first, ends[name]) for name, first in FIRST_SEEDS.items()}


PARTS = _parts()
