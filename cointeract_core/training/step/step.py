"""A sample's share of a training step: what is drawn, what the model reads, and what is minimised.

Everything random follows from the run's seed and the sample's number in the run, so a run that is resumed, or spread
over several processes, draws what an undisturbed one would have drawn.  Source: TR:180-320, PIPE:166-440.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...clips.schedule import timesteps
from ...constants import ROUTER_FACE, ROUTER_HAND
from ...model.forward import Recompute
from ...model.inputs import ClipInputs, DitOutput, HoiInputs
from ..settings.sections import HoiSettings, LossSettings, SamplingSettings
from ..table.token_masks import TokenMasks
from .losses import flow_loss, router_accuracy, router_loss, total_loss
from .noise import add_noise, flow_target
from .sample import TrainingSample, with_zeros
from .timesteps import Dropped, draw_timestep, drop
from .transformer import Transformer

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
class StepInputs:
    """What one forward of B samples reads, in the model's precision, and what it is to answer, in float32.

    Attributes:
        noisy: the noised target, `[B, 16, F, h, w]`.
        timestep: `[B]`, in float32 too: in bfloat16 899 would become 900.
        hoi: the noised HOI stream; None where it takes no part.
        target, hoi_target: flows of both, `[B, 16, F, h, w]`.
        weights: of each sample's flow losses, scalars.
        masks: of each sample, None where it has no boxes.
        tokens: of the prompt and of the HOI stream's with the zeros that both are still without.
    """

    noisy: Tensor
    timestep: Tensor
    clip: ClipInputs
    hoi: HoiInputs | None
    target: Tensor
    hoi_target: Tensor | None
    weights: tuple[Tensor, ...]
    masks: tuple[TokenMasks | None, ...]
    tokens: tuple[int, int]


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
) -> StepInputs:
    """What one forward reads, and what it is to answer.

    Args:
        to_model: puts a tensor onto the model's device in its precision.
    """
    dropped = drawn.dropped
    motion, clean = None, sample.alone
    if sample.joint is not None and not dropped.motion:
        latents = sample.alone.shape[2]
        motion, clean = sample.joint[:, :, :-latents], sample.joint[:, :, -latents:]
    noisy = to_model(add_noise(clean, drawn.noise, drawn.sigma))
    timestep = timesteps(drawn.sigma)[None].to(noisy.device)
    prompts = sample.prompts
    text, hoi_text = ("empty", "hoi_empty") if dropped.prompt else ("main", "hoi")
    hoi = hoi_target = None
    if drawn.hoi_noise is not None and sample.hoi is not None:
        hoi = HoiInputs(
            to_model(add_noise(sample.hoi, drawn.hoi_noise, drawn.sigma)),
            context=to_model(getattr(prompts, hoi_text)),
            timestep=timestep,
            mutual=visibility == MUTUAL,
        )
        hoi_target = flow_target(sample.hoi, drawn.hoi_noise)
    clip = ClipInputs(
        context=to_model(getattr(prompts, text)),
        audio=to_model(sample.audio * 0.0 if dropped.audio else sample.audio),
        person=to_model(sample.person),
        product=None if sample.product is None else to_model(sample.product),
        product_scale=sample.product_scale,
        motion=None if motion is None else to_model(motion),
        pose=None if sample.pose is None or dropped.pose else to_model(sample.pose),
    )
    return StepInputs(
        noisy=noisy,
        timestep=timestep,
        clip=clip,
        hoi=hoi,
        target=flow_target(clean, drawn.noise),
        hoi_target=hoi_target,
        weights=(drawn.weight,),
        masks=(sample.token_masks,),
        tokens=(prompts.length(text), prompts.length(hoi_text)),
    )


def step_losses(
    dit: Transformer,
    sample: TrainingSample,
    drawn: Draw,
    loss: LossSettings,
    *,
    visibility: str,
    to_model: Callable[[Tensor], Tensor],
    recompute: Recompute | None = None,
) -> StepLosses:
    """One sample's forward and its losses.

    Args:
        visibility: from `visibility_at`.
        to_model: see `step_inputs`.
        loss, recompute: see `losses_of`.
    """
    return losses_of(dit, step_inputs(sample, drawn, visibility, to_model), loss, recompute)[0]


def losses_of(
    dit: Transformer, given: StepInputs, loss: LossSettings, recompute: Recompute | None = None
) -> list[StepLosses]:
    """One forward, and the losses of each of its samples.

    Args:
        loss: weights of the terms.
        recompute: how the forward runs blocks; see `model.forward.forward`.
    """
    every = [None if dit.experts is None else masks for masks in given.masks]
    clip, hoi = _with_whole_texts(given)
    out = dit.predict(
        given.noisy,
        given.timestep,
        clip,
        hoi=hoi,
        want_logits=any(masks is not None for masks in every),
        recompute=recompute,
        learning=True,
    )
    device = out.video.device
    target = given.target.to(device)
    hoi_target = None if given.hoi_target is None else given.hoi_target.to(device)
    found = []
    for place, (masks, drawn) in enumerate(zip(every, given.weights, strict=True)):
        own = out if len(every) == 1 else _only(out, place)
        here, weight = slice(place, place + 1), drawn.to(device)
        rgb = flow_loss(own.video, target[here], weight)
        hoi_loss = None
        if own.hoi is not None and hoi_target is not None:
            hoi_loss = flow_loss(own.hoi, hoi_target[here], weight)
        found.append(_together(rgb, hoi_loss, own.router_logits, masks, loss))
    return found


def _with_whole_texts(given: StepInputs) -> tuple[ClipInputs, HoiInputs | None]:
    tokens, hoi_tokens = given.tokens
    clip, hoi = replace(given.clip, context=with_zeros(given.clip.context, tokens)), given.hoi
    if hoi is not None and hoi.context is not None:
        hoi = replace(hoi, context=with_zeros(hoi.context, hoi_tokens))
    return clip, hoi


def _only(out: DitOutput, place: int) -> DitOutput:
    """One sample's part of the answers."""
    return DitOutput(
        video=out.video[place : place + 1],
        hoi=None if out.hoi is None else out.hoi[place : place + 1],
        router_logits=[answer[place : place + 1] for answer in out.router_logits],
    )


def _together(
    rgb: Tensor, hoi: Tensor | None, logits: list[Tensor], masks: TokenMasks | None, loss: LossSettings
) -> StepLosses:
    """A sample's losses, and what its router got right."""
    router, accuracy = None, {}
    if masks is not None:
        router = router_loss(logits, masks, (loss.base_weight, loss.hand_weight, loss.face_weight))
        accuracy = router_accuracy([answer.detach() for answer in logits], masks)
    return StepLosses(
        total=total_loss(rgb, router, hoi, router_share=loss.router, hoi_share=loss.hoi),
        rgb=rgb.detach(),
        hoi=None if hoi is None else hoi.detach(),
        router=None if router is None else router.detach(),
        face_accuracy=accuracy.get(ROUTER_FACE),
        hand_accuracy=accuracy.get(ROUTER_HAND),
    )


def in_model_scale(sample: TrainingSample, scale: Callable[[Tensor], Tensor]) -> TrainingSample:
    """The sample with its latents in the model's scale instead of the VAE's."""

    def scaled(latents: Tensor | None) -> Tensor | None:
        return None if latents is None else scale(latents)

    return replace(
        sample,
        joint=scaled(sample.joint),
        alone=scale(sample.alone),
        person=scale(sample.person),
        product=scaled(sample.product),
        hoi=scaled(sample.hoi),
        pose=scaled(sample.pose),
    )
