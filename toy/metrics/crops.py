"""Small grey pictures of hands: whether fingers look like fingers."""

from __future__ import annotations

import cv2
import numpy as np

from ..world.scene import Scene
from .frame import Seen

SIDE = 30  # pixels
BRIGHTEST = 1.2  # of the person's skin
MOST = 2  # hands of a picture


def crops(scene: Scene, picture: np.ndarray, seen: Seen) -> list[np.ndarray]:
    """Crops of the largest hands of a picture, each `[900]` float32, its light as a share of the person's skin."""
    light = picture.astype(np.float32).mean(axis=-1) / np.mean(scene.person.skin)
    found = []
    for hand in seen.hands[:MOST]:
        near = cv2.dilate(hand.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        alone = np.where(near, np.clip(light, 0, BRIGHTEST), 0).astype(np.float32)
        # between pixels, so that a hand that moves by a part of one looks the same
        found.append(
            cv2.getRectSubPix(np.pad(alone, SIDE), (SIDE, SIDE), (hand.middle[0] + SIDE, hand.middle[1] + SIDE))
        )
    return [crop.reshape(-1) for crop in found]
