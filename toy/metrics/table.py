"""The table that says whether metrics can be trusted: clean renders first, then renders with known faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..held_out import PARTS, TEST, TEST_SCENES
from ..world.scene import BOTH
from .clip import Measured, measure
from .faults import Change, Clip, drawn, fingers_merged, mouth_shuffled, product_moved, shaken
from .truth import Truth, truth_of

FIRST, COUNT = 73, 32  # frames of a measured clip
NAMES = tuple(field.name for field in fields(Measured))
Through = Callable[[np.ndarray], np.ndarray]  # what pictures pass before they are measured, such as a VAE


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table.

    Attributes:
        shows: the metric that must see it.
        size: of the fault; the clean renders have 0.
        one_handed: measured only where one hand holds the product, for with two it moves out of one into the other.
    """

    name: str
    shows: str
    size: float
    change: Change | None = None
    skipped: int = 0
    one_handed: bool = False


def faults() -> tuple[Fault, ...]:
    """The known faults, each kind from small to large."""
    moved = [
        Fault(f"product {pixels} px {way}", "contact", pixels, product_moved(sign * pixels), one_handed=True)
        for way, sign in (("away from the hand", 1), ("into the hand", -1))
        for pixels in (1, 2, 3, 4)
    ]
    merged = [Fault(f"fingers {part:.0%} merged", "hands", part, fingers_merged(part)) for part in (0.25, 0.5, 0.75, 1)]
    mouths = [
        Fault(f"{part:.0%} of mouths shuffled", "mouth", part, mouth_shuffled(part)) for part in (0.25, 0.5, 0.75, 1)
    ]
    late = [Fault(f"second clip {count} frames late", "jump", count, skipped=count) for count in (2, 4, 8)]
    shaking = [Fault(f"shaken by {pixels:g} px", "jerk", pixels, shaken(pixels)) for pixels in (0.5, 1, 2)]
    return (*moved, *merged, *mouths, *late, *shaking)


def scenes_of_table(count: int = TEST_SCENES) -> list[Truth]:
    """Held-out scenes, with what their own renders show."""
    return [truth_of(scene) for scene in PARTS[TEST].take(count)]


def measured(
    truths: Iterable[Truth], fault: Fault | None = None, through: Through | None = None, count: int = COUNT
) -> list[Measured]:
    """Renders of these scenes in numbers, with a fault or clean.

    Args:
        through: what the pictures pass first.
        count: frames of a clip.
    """
    found = []
    for truth in truths:
        if fault is not None and fault.one_handed and truth.scene.grip == BOTH:
            continue
        clip = Clip(truth.scene, FIRST, count, 0 if fault is None else fault.skipped)
        pictures = drawn(clip, None if fault is None else fault.change)
        pictures = pictures if through is None else through(pictures)
        found.append(measure(truth, pictures, clip.loudness(), (clip.join,)))
    return found


def mean(rows: Sequence[Measured]) -> Measured:
    """Means over clips, of those where there is a number."""
    values = {name: np.array([getattr(row, name) for row in rows]) for name in NAMES}
    known = ((name, numbers[np.isfinite(numbers)]) for name, numbers in values.items())
    return Measured(**{name: float(numbers.mean()) if numbers.size else float("nan") for name, numbers in known})


def markdown(truths: Sequence[Truth], through: Through | None = None) -> Iterator[str]:
    """The table line by line; the metric that must see a fault is in bold."""
    yield f"| {len(truths)} scenes, {COUNT} frames | {' | '.join(NAMES)} |"
    yield "|---" * (len(NAMES) + 1) + "|"
    yield _line("renders", mean(measured(truths, None, through)), None)
    for fault in faults():
        name = f"{fault.name} (one hand)" if fault.one_handed else fault.name
        yield _line(name, mean(measured(truths, fault, through)), fault.shows)


def _line(name: str, row: Measured, shows: str | None) -> str:
    texts = [f"{getattr(row, column):.2f}" if column != "hands" else f"{row.hands:.4f}" for column in NAMES]
    bold = [f"**{text}**" if column == shows else text for column, text in zip(NAMES, texts, strict=True)]
    return f"| {name} | {' | '.join(bold)} |"
