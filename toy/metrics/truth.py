"""What a scene's own renders show: the measure of its clips.

Which phase of a movement a clip shows is not in the prompt, so a clip is compared with the whole movement and never
with one paired picture; and as renders are measured by the same means, what these cannot see falls out.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..world.palette import FPS
from ..world.pose import PERIOD
from ..world.render import frame
from ..world.scene import Scene
from .colours import Palette
from .crops import crops
from .frame import Seen, look

MOVEMENT = round(PERIOD * FPS)  # frames


@dataclass(frozen=True, slots=True)
class Truth:
    """A scene as its renders show it.

    Attributes:
        path: middles of the product over the movement, `[T, 2]`.
        distances, before: of the palm of each side that holds, in the median; see `frame.Palm`.
        crops: of its hands, `[N, 900]`.
    """

    scene: Scene
    palette: Palette
    path: np.ndarray
    distances: Mapping[int, float]
    before: Mapping[int, float]
    crops: np.ndarray

    def off_path(self, seen: Seen) -> float | None:
        """How far the product is from the nearest place it has in the movement, in pixels."""
        if seen.product is None:
            return None
        return float(np.hypot(*(self.path - np.array(seen.product)).T).min())

    def nearest_crop(self, crop: np.ndarray) -> float:
        """Root mean square difference of a crop `[900]` from the most similar one of the movement."""
        return float(np.sqrt(((self.crops - crop) ** 2).mean(axis=1).min()))


def truth_of(scene: Scene) -> Truth:
    """Render a movement of a scene and look at it."""
    palette = Palette(scene)
    pictures = [frame(scene, number) for number in range(MOVEMENT)]
    seen = [look(picture, palette) for picture in pictures]
    palms = {side: [one.palms[side] for one in seen if side in one.palms] for side in scene.holding}
    found = [crop for picture, one in zip(pictures, seen, strict=True) for crop in crops(scene, picture, one)]
    return Truth(
        scene=scene,
        palette=palette,
        path=np.array([one.product for one in seen if one.product is not None]),
        distances={side: statistics.median(palm.distance for palm in some) for side, some in palms.items() if some},
        before={side: statistics.median(palm.before for palm in some) for side, some in palms.items() if some},
        crops=np.stack(found),
    )
