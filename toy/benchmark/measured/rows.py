"""Held-out scenes as rows: written once, encoded once, and read by every cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ... import dataset
from ...held_out import PARTS, TEST, UNSEEN
from ...recipe import MODELS, SHORT
from ...world.palette import HEIGHT, WIDTH
from ...world.scene import Scene

if TYPE_CHECKING:
    from torch import Tensor

    from cointeract_pack.cointeract_core.clips.parts import ClipScene
    from cointeract_pack.cointeract_core.training.step.sample import TrainingSample

MEASURED = (TEST, UNSEEN)
FRAMES = 4 * SHORT.latents


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A scene and its row, encoded; latents are in the VAE's scale."""

    scene: Scene
    sample: TrainingSample

    def parts(self) -> ClipScene:
        """What a video of it is made from."""
        import torch

        from cointeract_pack.cointeract_core.clips.parts import (
            ClipScene,
            PersonReference,
            ProductReference,
            Prompts,
            Speech,
        )
        from cointeract_pack.cointeract_core.clips.plan import plan_video
        from cointeract_pack.cointeract_core.shapes import VideoSize

        own = self.sample
        speech = Speech(own.audio[0], torch.zeros(1, 1, 1), 1, plan_video(FRAMES, 1), False)  # nobody listens
        prompts = Prompts(([[own.prompts.whole("main"), {}]],), [[own.prompts.whole("empty"), {}]])
        product = None if own.product is None else ProductReference(own.product, own.product_scale)
        return ClipScene(PersonReference(own.person, VideoSize(WIDTH, HEIGHT)), speech, prompts, product)


def write_scenes(folder: Path, part: str, scenes: int) -> None:
    """Write the first scenes of a part as `toy.dataset` does; those that are there stay.

    Raises:
        SystemExit: it could not.
    """
    words = [str(folder / part), "--part", part, "--scenes", str(scenes), *SHORT.options]
    if status := dataset.main(words):
        raise SystemExit(status)


def read_scenes(folder: Path, part: str, scenes: int) -> list[HeldOut]:
    """The first scenes of a part, encoded through the trainer's own cache.

    Raises:
        InputError: a row that cannot be used.
    """
    import folder_paths

    from cointeract_pack.cointeract_core.host.files.load_encoders import EncoderFiles
    from cointeract_pack.cointeract_core.host.train.encode_rows import fill_cache
    from cointeract_pack.cointeract_core.host.train.loaders import CACHE
    from cointeract_pack.cointeract_core.shapes import VideoSize
    from cointeract_pack.cointeract_core.training.step.cache import SampleCache
    from cointeract_pack.cointeract_core.training.table.preflight import check_table

    size = VideoSize(WIDTH, HEIGHT)
    table = folder / part / dataset.TABLE
    checked = check_table(table, size=size, max_pixels=WIDTH * HEIGHT, latents=SHORT.latents).accepted(False)
    by_seed = {int(one.row.input_video.parent.name.split("_")[0]): one for one in checked}  # folders are named so
    chosen = PARTS[part].take(scenes)
    rows = [by_seed[scene.seed] for scene in chosen]
    cache = SampleCache(Path(folder_paths.get_output_directory()) / CACHE)
    keys = fill_cache(rows, EncoderFiles(**MODELS), cache, _told)
    return [HeldOut(scene, cache.load(row, key)) for scene, row, key in zip(chosen, rows, keys, strict=True)]


def in_scale(held: HeldOut, scale: Callable[[Tensor], Tensor]) -> TrainingSample:
    """The row with latents in the model's scale."""
    from cointeract_pack.cointeract_core.training.step.step import in_model_scale

    return in_model_scale(held.sample, scale)


def _told(_done: int, _of: int, line: str) -> None:
    sys.stderr.write(f"encoding, {line}\n")
