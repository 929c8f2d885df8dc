"""A generated video in numbers beside the goals, and many of them as a table.

`toy.metrics` measures what changes from frame to frame: product, hands, mouth, joins. Here the person and the room are
added, whose colours and places do not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .dataset import MOTION
from .metrics.clip import measure
from .metrics.truth import MOVEMENT, truth_of
from .world import palette
from .world.palette import HEIGHT, Colour
from .world.pose import CHIN
from .world.render import frame, frames
from .world.scene import Scene
from .world.voice import frame_loudness

HAIR, SKIN, SHIRT, WALL = "hair", "skin", "shirt", "wall"
PERSON = (HAIR, SKIN, SHIRT)
PARTS_OF_SCENE = (*PERSON, WALL)
RIGHT_SHARE = 0.5  # of a part's pixels that have its own colour, so that it is seen where it belongs
OTHERS = (palette.WHITE, palette.DARK, palette.LIP, palette.MOUTH, palette.LAMP)
MOST_FRAMES = 0.8  # share of a clip's frames that must be right for the clip to be
MOUTH, JUMP = 0.6, 1.3  # goals of the issue: least correlation; most change at a join in medians of the others
Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a number must reach, at least or at most; its end on that side is the worst."""

    bound: float
    at_least: bool = True

    def reached(self, value: float) -> bool:
        """Whether a number does; what could not be measured does not."""
        return bool(value >= self.bound if self.at_least else value <= self.bound)

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


GOALS = {
    "person": Goal(MOST_FRAMES),
    "product": Goal(MOST_FRAMES),
    "held": Goal(MOST_FRAMES),
    "mouth": Goal(MOUTH),
    "jump": Goal(JUMP, at_least=False),
}
LARGER_IS_BETTER = {*GOALS, *PARTS_OF_SCENE} - {"jump"}
ROWS = {
    "person": "share of frames with hair, skin and shirt in their places and colours",
    "product": "share of frames with the product on its path, in its colour",
    "held": "share of frames in which the named hand holds it",
    "mouth": "correlation of its opening with the loudness",
    "jump": "change at the join, in medians of the other changes",
    HAIR: "share of frames with the hair right",
    SKIN: "the same of the face",
    SHIRT: "the same of the shirt",
    WALL: "the same of the wall",
    "off_path": "pixels from the product's path",
    "contact": "palm to product, pixels off the truth",
    "hands": "difference of hands from the most similar render, 0-1",
    "jerk": "third difference of the product's place, pixels",
}


class Setting:
    """Person and room of a scene: where each part always is while the scene moves, and its colour.

    Args:
        scene: whose renders say so.
    """

    def __init__(self, scene: Scene) -> None:
        person, room = scene.person, scene.room
        shirts = {name: number for number, name in enumerate(palette.SHIRTS)}
        self._own = {
            HAIR: palette.HAIRS.index(person.hair),
            SKIN: palette.SKINS.index(person.skin),
            SHIRT: shirts[person.shirt],
            WALL: palette.WALLS.index(room.wall),
        }
        seen = [self._shown(frame(scene, number)) for number in range(MOVEMENT)]
        self._places = {part: np.all([one[part] for one in seen], axis=0) for part in PARTS_OF_SCENE}
        self._places[SKIN][round(CHIN) :] = False  # hands are measured by themselves

    def shares(self, picture: np.ndarray) -> dict[str, float]:
        """Of each part, the share of its place where a picture `[128, 96, 3]` uint8 has its colour."""
        shown = self._shown(picture)
        return {part: float(shown[part][place].mean()) for part, place in self._places.items()}

    def numbers(self, pictures: np.ndarray) -> dict[str, float]:
        """Shares of the frames `[T, 128, 96, 3]` in which each part is right, and the whole person."""
        right = [{part: share >= RIGHT_SHARE for part, share in self.shares(one).items()} for one in pictures]
        person = float(np.mean([all(one[part] for part in PERSON) for one in right]))
        return {"person": person} | {part: float(np.mean([one[part] for one in right])) for part in PARTS_OF_SCENE}

    def _shown(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """Where a picture has each part's own colour, `[128, 96]` bool."""
        flat = _nearest(picture.astype(np.float32), _COLOURS)
        # a wall is lighter above; the other colours are as they are
        lit = _nearest(picture / _LIGHT, _COLOURS)
        return {part: (lit if part == WALL else flat) == _FIRST[part] + number for part, number in self._own.items()}


_GROUPS: dict[str, Sequence[Colour]] = {
    HAIR: palette.HAIRS,
    SKIN: palette.SKINS,
    SHIRT: tuple(palette.SHIRTS.values()),
    WALL: palette.WALLS,
    "product": tuple(palette.PRODUCTS.values()),
    "desk": palette.DESKS,
    "other": OTHERS,
}
_COLOURS = np.array([colour for group in _GROUPS.values() for colour in group], dtype=np.float32)
_FIRST = dict(zip(_GROUPS, np.cumsum([0, *map(len, _GROUPS.values())]).tolist(), strict=False))
_LIGHT = np.linspace(palette.WALL_TOP, palette.WALL_BOTTOM, HEIGHT, dtype=np.float32)[:, None, None]


def _nearest(picture: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Number of the nearest colour of each pixel, `[H, W]`, of a picture `[H, W, 3]` float32."""
    distances = (colours**2).sum(axis=1) - 2 * picture @ colours.T
    return np.asarray(distances.argmin(axis=-1))


class Judge:
    """What is asked of videos of a scene.

    Args:
        scene: they are to show.
        first: frame of the scene they begin with.
    """

    def __init__(self, scene: Scene, first: int = MOTION) -> None:
        self._scene, self._first = scene, first
        self._truth, self._setting = truth_of(scene), Setting(scene)

    def numbers(self, pictures: np.ndarray, joins: Sequence[int] = ()) -> dict[str, float]:
        """A video in numbers, under the names of `ROWS`; those that cannot be measured are not numbers.

        Args:
            pictures: `[T, 128, 96, 3]` uint8.
            joins: numbers of the first frames of further clips.
        """
        loudness = frame_loudness(self._scene.seed, self._first, len(pictures))
        measured = asdict(measure(self._truth, pictures, loudness, joins))
        found = measured | self._setting.numbers(pictures)
        return {name: found[name] for name in ROWS}

    def of_renders(self, count: int, joins: Sequence[int] = ()) -> dict[str, float]:
        """The same of the scene as it is drawn: what the numbers can be at best."""
        return self.numbers(frames(self._scene, self._first, count), joins)


def table(rows: Sequence[Numbers], renders: Sequence[Numbers]) -> Iterator[str]:
    """Markdown, line by line: mean and worst of each number, and how many scenes reach its goal.

    Args:
        rows: of generated clips.
        renders: of the same scenes as they are drawn: what the numbers can be at best.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("No scene was measured, but at least one is expected; ask for more with --scenes.")
    yield f"| {len(rows)} scenes | renders | mean | worst | goal | reached by |"
    yield "|---|---|---|---|---|---|"
    for name, meaning in ROWS.items():
        values = [row[name] for row in rows]
        goal = GOALS.get(name)
        reached = "-" if goal is None or not np.isfinite(values).any() else f"{_share(goal, values):.0%}"
        ends = (_text(_mean([row[name] for row in renders])), _text(_mean(values)), _text(_worst(name, values)))
        yield f"| {name}: {meaning} | {' | '.join(ends)} | {goal or '-'} | {reached} |"
    everything = [all(goal.reached(row[name]) for name, goal in _asked(rows).items()) for row in rows]
    yield f"| all goals | - | - | - | - | {np.mean(everything):.0%} |"


def _asked(rows: Sequence[Numbers]) -> dict[str, Goal]:
    """Goals of what could be measured: a single clip has no join."""
    return {name: goal for name, goal in GOALS.items() if any(np.isfinite(row[name]) for row in rows)}


def _share(goal: Goal, values: Sequence[float]) -> float:
    return float(np.mean([goal.reached(value) for value in values]))


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _mean(values: Sequence[float]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if known else None


def _worst(name: str, values: Sequence[float]) -> float | None:
    known = _known(values)
    if not known:
        return None
    return min(known) if name in LARGER_IS_BETTER else max(known)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
