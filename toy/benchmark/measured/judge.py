"""One model against held-out scenes: clips made and measured, kept scene by scene, and what it says of rows."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dataset import MOTION
from ...files import write_text, write_video
from ...generation import Encoders, Generator, Sampling, as_pictures
from ...metrics.clip import Measured, measure
from ...metrics.truth import truth_of
from ...recipe import MODELS, SHORT
from ...world.voice import frame_loudness
from .host import model_in_training
from .joint import sample_jointly
from .loss import held_out_loss
from .rows import FRAMES, MEASURED, HeldOut, read_scenes

if TYPE_CHECKING:
    from cointeract_pack.cointeract_core.host.train.model import TrainingModel

VERSION = 1  # of how clips are made and measured; a new number measures all anew
Scenes = dict[str, dict[str, float | None]]  # of each scene, by its seed


class Decoder(Encoders):
    """The VAE alone: what it would encode comes out of the trainer's cache."""

    def __init__(self) -> None:
        from cointeract_pack.cointeract_core.host.files.load_encoders import load_vae
        from cointeract_pack.cointeract_core.host.video.decode import end_decoder

        self._vae = load_vae(MODELS["vae"])
        self._decode = end_decoder(self._vae)


@dataclass(frozen=True, slots=True)
class Judge:
    """What every cell is measured with.

    Attributes:
        folder: of the proof.
        sampling: its seed is added to the scene's, so that cells and their seeds share the noise of a scene.
    """

    folder: Path
    scenes: int
    sampling: Sampling

    def judged(self, name: str, model: str, file: Path, *, hoi_kept: bool = False) -> dict[str, Any]:
        """Measure a model on every part; scenes that were measured before are read.

        Args:
            name: of the folder its clips are kept in.
            model: as ComfyUI lists it.
            file: the same file, whose content names the measurements.
            hoi_kept: sample with the HOI stream.
        """
        place = self.folder / name / self._stamp(file, hoi_kept)
        held = {part: read_scenes(self.folder, part, self.scenes) for part in MEASURED}
        maker = Maker(model, self.sampling, hoi_kept=hoi_kept)
        scenes = {part: dict(self._measured(place / part, maker, rows)) for part, rows in held.items()}
        training = model_in_training(model, hoi=hoi_kept)
        losses = {part: asdict(held_out_loss(training, rows)) for part, rows in held.items()}
        return {"scenes": scenes, "rows": losses, "sampling": asdict(self.sampling), "version": VERSION}

    def _measured(
        self, place: Path, maker: Maker, held: list[HeldOut]
    ) -> Iterator[tuple[str, dict[str, float | None]]]:
        place.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(held, 1):
            path = place / f"{one.scene.seed}.json"
            if not path.is_file():
                sys.stderr.write(f"{place.name}: clip {number} of {len(held)}\n")
                pictures = maker.clip(one)
                write_video(path.with_suffix(".mp4"), pictures)
                write_text(path, json.dumps(as_numbers(measured(one, pictures))) + "\n")
            yield str(one.scene.seed), json.loads(path.read_text(encoding="utf-8"))

    def _stamp(self, file: Path, hoi_kept: bool) -> str:
        how = json.dumps([VERSION, asdict(self.sampling), hoi_kept]).encode()
        return hashlib.sha256(how + file.read_bytes()).hexdigest()[:12]


class Maker:
    """Makes clips with a model, which is loaded with the first one that is asked for."""

    def __init__(self, model: str, sampling: Sampling, *, hoi_kept: bool) -> None:
        self._name, self._sampling, self._hoi_kept = model, sampling, hoi_kept
        self._decoder: Decoder | None = None
        self._generator: Generator | None = None
        self._training: TrainingModel | None = None

    def clip(self, held: HeldOut) -> np.ndarray:
        """Pictures `[16, 128, 96, 3]` uint8 of a held-out scene."""
        own = self._sampling
        sampling = replace(own, seed=own.seed + held.scene.seed)
        self._decoder = self._decoder or Decoder()
        if not self._hoi_kept:
            self._generator = self._generator or Generator(self._decoder, self._name)
            return self._generator.sample(held.parts(), sampling, SHORT.latents)
        self._training = self._training or model_in_training(self._name, hoi=True)
        return joint_clip(self._decoder, self._training, held, sampling)


def joint_clip(
    decoder: Decoder, model: TrainingModel, held: HeldOut, sampling: Sampling, *, hoi: bool = True
) -> np.ndarray:
    """Pictures `[16, 128, 96, 3]` uint8 by the loop of `joint`; for `hoi` see there."""
    import torch

    with torch.no_grad():
        behind = torch.cat([held.sample.person, sample_jointly(model, held, sampling, hoi=hoi)], dim=2)
        return as_pictures(decoder.decode(behind, FRAMES))


def measured(held: HeldOut, pictures: np.ndarray) -> Measured:
    """A clip of a held-out scene in numbers."""
    return measure(truth_of(held.scene), pictures, frame_loudness(held.scene.seed, MOTION, FRAMES))


def as_numbers(row: Measured) -> dict[str, float | None]:
    """Plain numbers, None where nothing could be measured, which JSON has no number for."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(row).items()}


def agreement(model: str, held: HeldOut, sampling: Sampling) -> float:
    """Largest difference of a pixel, 0-255, between the joint loop without HOI and the pack's sampler."""
    own = Maker(model, sampling, hoi_kept=False).clip(held)
    seeded = replace(sampling, seed=sampling.seed + held.scene.seed)
    other = joint_clip(Decoder(), model_in_training(model, hoi=True), held, seeded, hoi=False)
    return float(np.abs(own.astype(int) - other.astype(int)).max())
