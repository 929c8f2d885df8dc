"""Sample the latents of one clip with the host's guider, samplers and schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import comfy.model_sampling
import comfy.samplers
import torch
from torch import Tensor

from ...clips.parts import ClipScene
from ...clips.plan import ClipPlan
from ...clips.schedule import negative_floor, published_sigmas
from ...clips.watch import StepWatch
from ...constants import TIMESTEPS
from ...model.parts import Options
from ..objects import Patcher
from .conditions import ClipConditions, clip_conditions

PUBLISHED_SCHEDULE = "published"
SAME_LEVEL = 1e-6  # relative; some samplers come to a step's noise level by way of logarithms
StepCallback = Callable[[int, Tensor, Tensor, int], None]  # step, denoised, noisy, steps


def scheduler_names() -> list[str]:
    """The published schedule, then the host's."""
    return [PUBLISHED_SCHEDULE, *comfy.samplers.SCHEDULER_NAMES]


def sampler_names() -> list[str]:
    """The host's samplers."""
    return list(comfy.samplers.SAMPLER_NAMES)


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How to sample.

    Attributes:
        seed: noise of clip r is drawn with ``seed + r``.
        cfg: guidance scale; 1 runs one pass per step.
        shift: pushes the schedule towards high noise.
        sampler, scheduler: names from `sampler_names` and `scheduler_names`.
        negative_until: part of the steps, from the first on, that run the negative pass too.
    """

    seed: int
    steps: int
    cfg: float
    shift: float
    sampler: str
    scheduler: str
    negative_until: float = 1.0


class PartlyGuided(comfy.samplers.CFGGuider):
    """The host's guidance, without its negative pass from some noise level on.

    That part is the host's guidance 1: nodes that ask it for both passes all the same still get them.
    """

    cfg: float

    def __init__(self, patcher: Patcher, floor: float) -> None:
        """Follow the prompt alone at and below the noise level `floor`; half the work of a step."""
        super().__init__(patcher)
        self._floor = floor * (1 + SAME_LEVEL)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: dict[str, Options] | None = None, seed: int | None = None
    ) -> Tensor:
        """The host's entry, once per call of the model: samplers may make several in a step, so the noise decides."""
        guidance = self.cfg
        if float(timestep.max()) <= self._floor:
            self.cfg = 1.0
            run = getattr(self.model_patcher, "run_cache", None)
            if run is not None:
                run.alone()
        try:
            noise: Tensor = super().predict_noise(x, timestep, model_options or {}, seed)
            return noise
        finally:
            self.cfg = guidance


def with_shift(patcher: Patcher, shift: float) -> Patcher:
    """A clone of a MODEL whose host schedules use `shift`."""

    class Shifted(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    sampling = Shifted(patcher.model.model_config)
    sampling.set_parameters(shift=shift, multiplier=TIMESTEPS)
    clone = patcher.clone()
    clone.add_object_patch("model_sampling", sampling)
    return clone


def make_sigmas(patcher: Patcher, settings: SampleSettings) -> Tensor:
    """Noise levels `[steps + 1]`, from 1 to 0."""
    if settings.scheduler == PUBLISHED_SCHEDULE:
        return published_sigmas(settings.steps, settings.shift)
    sampling = patcher.get_model_object("model_sampling")
    sigmas: Tensor = comfy.samplers.calculate_sigmas(sampling, settings.scheduler, settings.steps)
    return sigmas.cpu()


def clip_noise(latent: Tensor, seed: int) -> Tensor:
    """Noise of a clip.

    The published program draws it for the person's slot too and overwrites that slot, so the target's noise is all
    but the first latent of a draw that is one latent longer (BI:115-160).
    """
    batch, channels, latents, rows, columns = latent.shape
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(batch, channels, latents + 1, rows, columns, generator=generator)[:, :, 1:]


def sample_clip(
    patcher: Patcher,
    conditions: ClipConditions,
    settings: SampleSettings,
    sigmas: Tensor,
    seed: int,
    callback: StepCallback | None = None,
) -> Tensor:
    """Latents of one clip, `[1, 16, 20, h, w]`.

    Args:
        patcher: the MODEL, `prepared` and then from `with_shift`.
        conditions: from `clip_conditions`.
        sigmas: from `make_sigmas`.
        seed: of this clip.
        callback: called after every step.

    Raises:
        InputError: `negative_until` is outside 0-1.
        ResultError: a step made something else than numbers.
    """
    floor = negative_floor(sigmas, settings.negative_until)
    guider = comfy.samplers.CFGGuider(patcher) if floor is None else PartlyGuided(patcher, floor)
    guider.set_conds(conditions.positive, conditions.negative)
    guider.set_cfg(settings.cfg)
    watch = StepWatch()

    def after_step(step: int, denoised: Tensor, noisy: Tensor, steps: int) -> None:
        watch.look(step + 1, denoised)
        if callback is not None:
            callback(step, denoised, noisy, steps)

    latents: Tensor = guider.sample(
        clip_noise(conditions.latent, seed),
        conditions.latent,
        comfy.samplers.sampler_object(settings.sampler),
        sigmas,
        callback=after_step,
        disable_pbar=True,
        seed=seed,
    )
    watch.judge()
    return latents


def clip_sampler(
    patcher: Patcher,
    scene: ClipScene,
    settings: SampleSettings,
    sigmas: Tensor,
    callback_for: Callable[[int], StepCallback],
    *,
    speech_to_face: bool = False,
) -> Callable[[ClipPlan, Tensor | None], Tensor]:
    """The `sample` function of `run_clips` for a scene.

    Args:
        callback_for: gives the step callback of a clip by its number.
    """

    def sample(clip: ClipPlan, motion: Tensor | None) -> Tensor:
        conditions = clip_conditions(scene, clip, motion, speech_to_face=speech_to_face)
        seed = clip.index if scene.speech.reference_behaviour else settings.seed + clip.seed_offset
        return sample_clip(patcher, conditions, settings, sigmas, seed, callback_for(clip.index))

    return sample
