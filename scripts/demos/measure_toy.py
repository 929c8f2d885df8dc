"""Say in numbers what a video of the drawn world shows, as one JSON object.

PYTHONPATH=scripts:. python scripts/demos/measure_toy.py VIDEO --part test --seed 1000000 --first 73
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from demos.toy_clip import read_pictures
from tiny.toy_inputs import CLIP_FRAMES

if TYPE_CHECKING:
    import numpy as np

    from toy.world.scene import Scene

SIDE = 60  # pixels; no product is larger
LEAST = 40  # pixels of a product's colour; less is none


def nearest_shapes(scene: Scene, pictures: np.ndarray) -> list[str | None]:
    """Of each picture the shape whose renders in this scene its product covers best; None where no product is."""
    import numpy as np

    from toy.metrics.truth import MOVEMENT
    from toy.world.render import frame
    from toy.world.shapes import SHAPES

    known = {}
    for shape in SHAPES:
        drawn = replace(scene, product=replace(scene.product, shape=shape))
        found = [_outline(scene, frame(drawn, number)) for number in range(MOVEMENT)]
        known[shape] = np.stack([mask for mask in found if mask is not None])
    nearest: list[str | None] = []
    for picture in pictures:
        mask = _outline(scene, picture)
        nearest.append(None if mask is None else max(SHAPES, key=lambda shape: _overlap(mask, known[shape])))
    return nearest


def _overlap(mask: np.ndarray, others: np.ndarray) -> float:
    """Shared pixels over all pixels, with the most similar of `others` `[N, H, W]`."""
    return float(((others & mask).sum(axis=(1, 2)) / (others | mask).sum(axis=(1, 2))).max())


def _outline(scene: Scene, picture: np.ndarray) -> np.ndarray | None:
    """Pixels of the product's colour around their middle, `[60, 60]` bool."""
    import cv2
    import numpy as np

    from toy.metrics.colours import PRODUCT, Palette, parts

    blobs = parts(Palette(scene).things(picture) == PRODUCT, LEAST)
    if not blobs:
        return None
    place = tuple(side + SIDE for side in blobs[0].middle)
    padded = np.pad(blobs[0].mask.astype(np.float32), SIDE)
    return np.asarray(cv2.getRectSubPix(padded, (SIDE, SIDE), place) > 0.5)


def numbers_of(scene: Scene, pictures: np.ndarray, first: int) -> dict[str, float]:
    """A clip's metrics, see `toy.metrics`, and the share of frames whose product has its shape."""
    from toy.metrics.clip import measure
    from toy.metrics.truth import truth_of
    from toy.world.voice import frame_loudness

    count = len(pictures)
    joins = range(CLIP_FRAMES, count, CLIP_FRAMES)
    measured = measure(truth_of(scene), pictures, frame_loudness(scene.seed, first, count), joins)
    shapes = nearest_shapes(scene, pictures)
    return {**asdict(measured), "shape": shapes.count(scene.product.shape) / count}


def main(arguments: list[str]) -> None:
    """The command."""
    from toy.held_out import PARTS

    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--part", choices=sorted(PARTS), required=True, help="of the scene")
    parser.add_argument("--seed", type=int, required=True, help="of the scene")
    parser.add_argument("--first", type=int, required=True, help="the scene's frame the speech begins with")
    options = parser.parse_args(arguments)
    scene = PARTS[options.part].scene(options.seed)
    print(json.dumps(numbers_of(scene, read_pictures(options.video), options.first)))


if __name__ == "__main__":
    main(sys.argv[1:])
