"""Known faults: renders that are spoilt on purpose and by measure, to see what a metric makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..world.chance import FAULTS, stream
from ..world.pose import Pose, point, pose_at
from ..world.render import draw
from ..world.scene import BOTH, Scene
from ..world.voice import frame_loudness

Change = Callable[[Scene, list[Pose]], list[Pose]]  # of the poses of a clip


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a scene; the second half is the next clip, and begins `skipped` frames too late."""

    scene: Scene
    first: int
    count: int
    skipped: int = 0

    @property
    def join(self) -> int:
        """The first frame of the second half."""
        return self.count // 2

    def numbers(self) -> list[int]:
        """Frames of the scene."""
        later = [0] * self.join + [self.skipped] * (self.count - self.join)
        return [self.first + number + skipped for number, skipped in enumerate(later)]

    def loudness(self) -> np.ndarray:
        """Of its own sound, `[count]`."""
        return frame_loudness(self.scene.seed, self.first, self.count)


def drawn(clip: Clip, change: Change | None = None) -> np.ndarray:
    """The clip's pictures, `[count, 128, 96, 3]` uint8."""
    poses = [pose_at(clip.scene, number) for number in clip.numbers()]
    if change is not None:
        poses = change(clip.scene, poses)
    return np.stack([draw(clip.scene, pose) for pose in poses])


def product_moved(pixels: float) -> Change:
    """The product away from the hand that holds it, or into it where less than 0; of two hands from the left one."""

    def change(scene: Scene, poses: list[Pose]) -> list[Pose]:
        side = 1 if scene.grip == BOTH else scene.holding[0]
        return [_with_product_moved(pose, -side * pixels, 0.0) for pose in poses]

    return change


def fingers_merged(share: float) -> Change:
    """Fingers nearer to each other, at 1 all in one place."""

    def merged(pose: Pose) -> Pose:
        return replace(pose, hands={side: replace(hand, spread=1 - share) for side, hand in pose.hands.items()})

    def change(_: Scene, poses: list[Pose]) -> list[Pose]:
        return [merged(pose) for pose in poses]

    return change


def mouth_shuffled(share: float) -> Change:
    """That share of a clip's mouths, each in the place of another."""

    def change(scene: Scene, poses: list[Pose]) -> list[Pose]:
        order = np.argsort(stream(scene.seed, FAULTS).random(len(poses)), kind="stable")
        chosen = order[: round(share * len(poses))]
        places = np.arange(len(poses))
        places[chosen] = np.roll(chosen, 1)
        return [replace(pose, mouth=poses[place].mouth) for pose, place in zip(poses, places, strict=True)]

    return change


def shaken(pixels: float) -> Change:
    """Product and hands together, each frame by its own random way of about that length."""

    def change(scene: Scene, poses: list[Pose]) -> list[Pose]:
        ways = stream(scene.seed, FAULTS).standard_normal((len(poses), 2)) * pixels / np.sqrt(2)
        moved = []
        for pose, (x, y) in zip(poses, ways, strict=True):
            hands = {side: replace(hand, at=hand.at + point(x, y)) for side, hand in pose.hands.items()}
            moved.append(replace(_with_product_moved(pose, x, y), hands=hands))
        return moved

    return change


def _with_product_moved(pose: Pose, x: float, y: float) -> Pose:
    if pose.product is None:
        return pose
    return replace(pose, product=replace(pose.product, at=pose.product.at + point(x, y)))
