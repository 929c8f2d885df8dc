"""Sample videos during training: one clip of a row, through the real sampling path, without the HOI stream."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path

import comfy.model_management
import torch
from torch import Tensor

from ...clips.loop import decode_target
from ...clips.parts import ClipScene, PersonReference, ProductReference, Prompts, Speech
from ...clips.plan import plan_video
from ...clips.watch import one_colour
from ...clips.writer import ClipWriter
from ...constants import CLIP_TARGET_LATENTS, DEFAULT_CFG, DEFAULT_SHIFT, TEMPORAL_STRIDE
from ...errors import ResultError
from ...media.sound import read_audio
from ...training.step.cache import SampleCache, SampleKeys
from ...training.step.memory import Memory
from ...training.table.preflight import CheckedRow
from ..files.load_encoders import load_vae
from ..video.conditions import clip_conditions
from ..video.decode import decode_last
from ..video.sampling import PUBLISHED_SCHEDULE, SampleSettings, make_sigmas, sample_clip, with_shift
from .model import TrainingModel

log = logging.getLogger("cointeract")

SAMPLES = "samples"
SEED = 42  # of every sample, so that they can be compared


class SampleMaker:
    """Makes a video of the first held-out row (or the first row) with the adapter as it is.

    Args:
        model: with LoRA attached.
        vae: name of the file that decodes.
        row: what to show.
        folder: of the run.
        memory: puts the model back where training needs it.
        steps: denoising steps.
    """

    def __init__(
        self,
        model: TrainingModel,
        vae: str,
        cache: SampleCache,
        row: tuple[CheckedRow, SampleKeys],
        folder: Path,
        memory: Memory,
        steps: int,
    ) -> None:
        self._model, self._vae, self._memory = model, vae, memory
        self._folder = folder / SAMPLES
        self._checked = row[0]
        self._sample = cache.load(*row)
        self._settings = SampleSettings(SEED, steps, DEFAULT_CFG, DEFAULT_SHIFT, "euler", PUBLISHED_SCHEDULE)

    def make(self, step: int) -> Path:
        """Write ``samples/step_00000100.mp4`` and give its path.

        Raises:
            ResultError: the model makes something else than numbers.
        """
        try:
            with torch.no_grad():  # the host moves weights, and those of inference mode cannot be trained again
                frames = self._frames()
        except ResultError as error:
            raise ResultError(
                f"In the sample video of step {step} {error}, but numbers were expected; go on from a state before "
                "this step with a lower learning_rate; kept: the saved states of the run."
            ) from error
        finally:
            comfy.model_management.unload_all_models()
            self._memory.place()
        waveform, rate = read_audio(self._checked.row.audio)
        path = self._folder / f"step_{step:08}.mp4"
        self._folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # held open by a player; then this one gets a name of its own
            path.unlink(missing_ok=True)  # of a run that was resumed from before it
        work = self._folder / ".work"
        writer = ClipWriter(path, work, waveform, rate)
        writer.add(frames)
        for left in (*writer.clip_files, work):
            left.unlink() if left.is_file() else left.rmdir()
        if one_colour(frames):
            log.warning("The sample of step %d is one colour from edge to edge: look at the run's curves", step)
        log.info("A sample of step %d is in %s", step, writer.path)
        return writer.path

    def _frames(self) -> Tensor:
        """Frames `[4 F, H, W, 3]` of the row's first clip."""
        sample, checked = self._sample, self._checked
        latents = min(sample.alone.shape[2], CLIP_TARGET_LATENTS)
        speech = Speech(sample.audio[0], torch.zeros(1, 1, 1), 1, plan_video(latents * TEMPORAL_STRIDE, 1), False)
        prompts = Prompts(([[sample.prompts.whole("main"), {}]],), [[sample.prompts.whole("empty"), {}]])
        product = None if sample.product is None else ProductReference(sample.product, sample.product_scale)
        scene = ClipScene(PersonReference(sample.person, checked.size), speech, prompts, product)
        patcher = with_shift(self._model.patcher, self._settings.shift)
        conditions = clip_conditions(scene, speech.plan.clips[0], None)
        sigmas = make_sigmas(patcher, self._settings)
        target = sample_clip(patcher, conditions, self._settings, sigmas, SEED)
        comfy.model_management.unload_all_models()  # decoding, in inference mode, would move this model away itself
        vae = load_vae(self._vae)
        return decode_target(target, sample.person, partial(decode_last, vae))[: latents * TEMPORAL_STRIDE]
