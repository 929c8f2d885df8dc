"""One sample's share of a training step: what is drawn, what the model reads, and what is minimised.

Everything random follows from the run's seed and the sample's number in the run, so a run that is resumed, or spread
over several processes, draws what an undisturbed one would have drawn.  Source: TR:180-320, PIPE:166-440.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...clips.schedule import timesteps
from ...constants import ROUTER_FACE, ROUTER_HAND
from ...model.inputs import ClipInputs, DitOutput, HoiInputs
from ..settings.sections import HoiSettings, LossSettings, SamplingSettings
from .losses import flow_loss, router_accuracy, router_loss, total_loss
from .noise import add_noise, flow_target
from .sample import TrainingSample
from .timesteps import Dropped, draw_timestep, drop

OFF, MUTUAL, ASYMMETRIC, TWO_STAGE = "off", "mutual", "asymmetric", "two_stage"
SEED_STEP = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: spreads neighbouring numbers over all seeds
SEED_RANGE = 1 << 63


@dataclass(frozen=True, slots=True)
class Draw:
    """What is random in one sample's share of a step.

    Attributes:
        dropped: conditions left out.
        sigma: noise level, a scalar.
        weight: of the flow losses at that level, a scalar.
        noise: `[1, 16, F, h, w]` float32.
        hoi_noise: the same for the HOI stream, None where the sample has none.
    """

    dropped: Dropped
    sigma: Tensor
    weight: Tensor
    noise: Tensor
    hoi_noise: Tensor | None


@dataclass(frozen=True, slots=True)
class StepLosses:
    """Losses of one sample, `total` with its graph.

    Attributes:
        face_accuracy, hand_accuracy: share of these tokens the router names rightly; None where there are none.
    """

    total: Tensor
    rgb: Tensor
    hoi: Tensor | None
    router: Tensor | None
    face_accuracy: float | None
    hand_accuracy: float | None

    def values(self) -> dict[str, float | None]:
        """Plain numbers under the names of the curves."""
        return {
            "loss": self.total.item(),
            "rgb": self.rgb.item(),
            "hoi": None if self.hoi is None else self.hoi.item(),
            "router": None if self.router is None else self.router.item(),
            "face_accuracy": self.face_accuracy,
            "hand_accuracy": self.hand_accuracy,
        }


def sample_generator(seed: int, number: int) -> torch.Generator:
    """Randomness of sample `number` of a run, on the CPU so that every device draws the same."""
    return torch.Generator("cpu").manual_seed((seed + number * SEED_STEP) % SEED_RANGE)


def draw(sample: TrainingSample, settings: SamplingSettings, generator: torch.Generator, *, hoi: bool) -> Draw:
    """Draw conditions to drop, a noise level and noise, in the published order.

    Args:
        hoi: whether the HOI stream takes part in this step.
    """
    dropped = drop(settings, generator, has_pose=sample.pose is not None, has_motion=sample.joint is not None)
    sigma, weight = draw_timestep(settings, generator)
    noise = torch.randn(sample.alone.shape, generator=generator)
    hoi_noise = torch.randn(sample.hoi.shape, generator=generator) if hoi and sample.hoi is not None else None
    return Draw(dropped, sigma, weight, noise, hoi_noise)


def visibility_at(settings: HoiSettings, step: int) -> str:
    """`off`, `mutual` or `asymmetric` at a step of the run."""
    if settings.mode == TWO_STAGE:
        return MUTUAL if step < settings.switch_step else ASYMMETRIC
    return settings.mode


def step_inputs(
    sample: TrainingSample, drawn: Draw, visibility: str, to_model: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, ClipInputs, HoiInputs | None, Tensor, Tensor | None]:
    """What one forward reads.

    Args:
        to_model: puts a tensor onto the model's device in its precision.

    Returns:
        the noised target; the timestep `[1]` in float32; the clip; the noised HOI stream; both flow targets in float32.
    """
    dropped = drawn.dropped
    motion, clean = None, sample.alone
    if sample.joint is not None and not dropped.motion:
        frames = sample.alone.shape[2]
        motion, clean = sample.joint[:, :, :-frames], sample.joint[:, :, -frames:]
    noisy = to_model(add_noise(clean, drawn.noise, drawn.sigma))
    timestep = timesteps(drawn.sigma)[None].to(noisy.device)  # exact: in bfloat16 899 would become 900
    prompts = sample.prompts
    hoi = hoi_target = None
    if drawn.hoi_noise is not None:
        hoi = HoiInputs(
            to_model(add_noise(sample.hoi, drawn.hoi_noise, drawn.sigma)),
            context=to_model(prompts.hoi_empty if dropped.prompt else prompts.hoi),
            timestep=timestep,
            mutual=visibility == MUTUAL,
        )
        hoi_target = flow_target(sample.hoi, drawn.hoi_noise)
    clip = ClipInputs(
        context=to_model(prompts.empty if dropped.prompt else prompts.main),
        audio=to_model(sample.audio * 0.0 if dropped.audio else sample.audio),
        person=to_model(sample.person),
        product=None if sample.product is None else to_model(sample.product),
        product_scale=sample.product_scale,
        motion=None if motion is None else to_model(motion),
        pose=None if sample.pose is None or dropped.pose else to_model(sample.pose),
    )
    return noisy, timestep, clip, hoi, flow_target(clean, drawn.noise), hoi_target


def step_losses(
    dit: Any,
    sample: TrainingSample,
    drawn: Draw,
    loss: LossSettings,
    *,
    visibility: str,
    to_model: Callable[[Tensor], Tensor],
    **how: Any,
) -> StepLosses:
    """One forward and its losses.

    Args:
        dit: the transformer.
        loss: weights of the terms.
        visibility: from `visibility_at`.
        to_model: see `step_inputs`.
        how: further arguments of the forward, such as how to recompute it.
    """
    noisy, timestep, clip, hoi, target, hoi_target = step_inputs(sample, drawn, visibility, to_model)
    routed = sample.masks is not None and dit.experts is not None
    out: DitOutput = dit.predict(noisy, timestep, clip, hoi=hoi, want_logits=routed, learning=True, **how)
    device = out.video.device
    weight = drawn.weight.to(device)
    rgb = flow_loss(out.video, target.to(device), weight)
    hoi_loss = None if hoi_target is None else flow_loss(out.hoi, hoi_target.to(device), weight)
    router, accuracy = None, {}
    if routed:
        class_weights = (loss.base_weight, loss.hand_weight, loss.face_weight)
        router = router_loss(out.router_logits, sample.masks, class_weights)
        accuracy = router_accuracy([answer.detach() for answer in out.router_logits], sample.masks)
    total = total_loss(rgb, router, hoi_loss, router_share=loss.router, hoi_share=loss.hoi)
    return StepLosses(
        total,
        rgb=rgb.detach(),
        hoi=None if hoi_loss is None else hoi_loss.detach(),
        router=None if router is None else router.detach(),
        face_accuracy=accuracy.get(ROUTER_FACE),
        hand_accuracy=accuracy.get(ROUTER_HAND),
    )


def in_model_scale(sample: TrainingSample, scale: Callable[[Tensor], Tensor]) -> TrainingSample:
    """The sample with its latents in the model's scale instead of the VAE's."""
    names = ("joint", "alone", "person", "product", "hoi", "pose")
    scaled = {name: scale(latent) for name in names if (latent := getattr(sample, name)) is not None}
    return replace(sample, **scaled)
