"""A clip in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .crops import crops
from .frame import Seen, look
from .truth import Truth

RIGHT_PLACE = 10.0  # pixels from its path at most
OWN_COLOUR = 0.5  # of what has a product's colour
EVERY_CROP = 4  # frames; neighbours hold almost the same hands


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over a clip; not a number where nothing could be measured.

    Attributes:
        product: share of frames in which the product is seen in its colour and on its path.
        off_path: pixels from the path.
        held: share of frames in which the hands that hold it are those of the prompt.
        contact: |distance from palm to product - truth|, pixels.
        signed: the same with its sign: more than 0 is too far apart.
        before: |share of the hand before the product - truth|.
        hands: difference of hands from the most similar render, 0-1.
        mouth: correlation of its opening with the loudness.
        jump: change at a join in medians of the other changes.
        jerk: third difference of the product's place, pixels per frame cubed.
    """

    product: float
    off_path: float
    held: float
    contact: float
    signed: float
    before: float
    hands: float
    mouth: float
    jump: float
    jerk: float


def measure(truth: Truth, pictures: np.ndarray, loudness: np.ndarray, joins: Sequence[int] = ()) -> Measured:
    """Measure a clip.

    Args:
        truth: of its scene.
        pictures: `[T, 128, 96, 3]` uint8.
        loudness: of the speech in each frame, `[T]`, in any unit.
        joins: numbers of the first frames of further clips.
    """
    seen = [look(picture, truth.palette) for picture in pictures]
    off = [truth.off_path(one) for one in seen]
    right = [
        there is not None and there <= RIGHT_PLACE and one.own_colour >= OWN_COLOUR
        for there, one in zip(off, seen, strict=True)
    ]
    errors, before = _palm_errors(truth, seen)
    found = [
        crop
        for picture, one in zip(pictures[::EVERY_CROP], seen[::EVERY_CROP], strict=True)
        for crop in crops(truth.scene, picture, one)
    ]
    return Measured(
        product=float(np.mean(right)),
        off_path=_mean([there for there in off if there is not None]),
        held=float(np.mean([set(one.palms) == set(truth.scene.holding) for one in seen])),
        contact=_mean([abs(error) for error in errors]),
        signed=_mean(errors),
        before=_mean([abs(error) for error in before]),
        hands=_mean([truth.nearest_crop(crop) for crop in found]),
        mouth=correlation(np.array([one.mouth for one in seen]), loudness),
        jump=jump(pictures, joins),
        jerk=jerk(seen),
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two curves `[T]`; 0 where one of them does not change."""
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def jump(pictures: np.ndarray, joins: Sequence[int]) -> float:
    """Largest mean change of a pixel at a join, in medians of the changes from frame to frame within clips."""
    if not len(joins):
        return float("nan")
    changes = np.abs(np.diff(pictures.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))
    at = np.zeros(len(changes), bool)
    at[np.array(joins) - 1] = True
    return float(changes[at].max() / max(float(np.median(changes[~at])), 1e-6))


def jerk(seen: Sequence[Seen]) -> float:
    """Mean third difference of the product's place, over frames that show it without a gap."""
    gone = (float("nan"), float("nan"))
    places = np.array([one.product or gone for one in seen])
    third = np.hypot(*np.diff(places, n=3, axis=0).T)
    return _mean(third[np.isfinite(third)].tolist())


def _palm_errors(truth: Truth, seen: Sequence[Seen]) -> tuple[list[float], list[float]]:
    """Distances and shares before the product of all palms, without what the truth has of each."""
    palms = [(side, palm) for one in seen for side, palm in one.palms.items() if side in truth.distances]
    distances = [palm.distance - truth.distances[side] for side, palm in palms]
    return distances, [palm.before - truth.before[side] for side, palm in palms]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
