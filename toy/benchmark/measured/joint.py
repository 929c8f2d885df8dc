"""Sampling with the HOI stream kept, which the pack's sampler has no way for: both streams are denoised together.

Euler steps over the published noise levels with guidance, as the pack samples: without the HOI stream this loop gives
what the pack's sampler gives (`judge.agreement`, which `overhead` tells).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...generation import Sampling
from .rows import HeldOut, in_scale

if TYPE_CHECKING:
    from torch import Tensor

    from cointeract_pack.cointeract_core.host.train.model import TrainingModel
    from cointeract_pack.cointeract_core.training.step.sample import TrainingSample

HOI_SEED = 1 << 32  # added to the seed of the video's noise, far from those of other clips
POSITIVE, NEGATIVE = ("main", "hoi"), ("empty", "hoi_empty")  # prompts of both streams


@dataclass(frozen=True, slots=True)
class Streams:
    """Latents of both streams, `[1, 16, F, h, w]`; None where the HOI stream takes no part."""

    video: Tensor
    hoi: Tensor | None

    def plus(self, step: float, flow: Streams) -> Streams:
        """The same after a step along the flow."""
        hoi = None if self.hoi is None or flow.hoi is None else self.hoi + step * flow.hoi
        return Streams(self.video + step * flow.video, hoi)

    def guided(self, other: Streams, scale: float) -> Streams:
        """This flow, away from the one without prompt and speech."""
        hoi = None if self.hoi is None or other.hoi is None else other.hoi + scale * (self.hoi - other.hoi)
        return Streams(other.video + scale * (self.video - other.video), hoi)


def sample_jointly(model: TrainingModel, held: HeldOut, sampling: Sampling, *, hoi: bool = True) -> Tensor:
    """Latents of the video `[1, 16, F, h, w]` in the VAE's scale.

    Args:
        model: from `host.model_in_training`, with the HOI stream.
        hoi: False leaves the stream out.
    """
    import torch

    from cointeract_pack.cointeract_core.clips.schedule import published_sigmas
    from cointeract_pack.cointeract_core.host.video.sampling import clip_noise

    latent_format = model.patcher.model.latent_format
    sample = in_scale(held, latent_format.process_in)
    video, beside = clip_noise(sample.alone, sampling.seed), clip_noise(sample.alone, sampling.seed + HOI_SEED)
    streams = Streams(video, beside if hoi else None)
    sigmas = published_sigmas(sampling.steps, sampling.shift)
    with torch.no_grad():
        for now, after in zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True):
            flow = flow_of(model, sample, streams, now)
            if sampling.guidance != 1:
                flow = flow.guided(flow_of(model, sample, streams, now, negative=True), sampling.guidance)
            streams = streams.plus(after - now, flow)
    out: Tensor = latent_format.process_out(streams.video)
    return out


def flow_of(
    model: TrainingModel,
    sample: TrainingSample,
    streams: Streams,
    sigma: float,
    *,
    negative: bool = False,
    mutual: bool = True,
) -> Streams:
    """What the model answers at a noise level, in float32 on the CPU.

    Args:
        sample: latents in the model's scale.
        negative: without prompt and speech.
        mutual: the video sees the HOI stream.
    """
    import torch

    from cointeract_pack.cointeract_core.constants import TIMESTEPS
    from cointeract_pack.cointeract_core.model.inputs import ClipInputs, HoiInputs

    device, dtype = model.patcher.load_device, model.dtype

    def to_model(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype)

    text, hoi_text = (to_model(sample.prompts.whole(name)) for name in (NEGATIVE if negative else POSITIVE))
    timestep = torch.tensor([sigma * TIMESTEPS], device=device)
    clip = ClipInputs(
        context=text,
        audio=to_model(sample.audio * 0.0 if negative else sample.audio),
        person=to_model(sample.person),
        product=None if sample.product is None else to_model(sample.product),
        product_scale=sample.product_scale,
    )
    hoi = None if streams.hoi is None else HoiInputs(to_model(streams.hoi), hoi_text, timestep, mutual=mutual)
    out = model.dit.predict(to_model(streams.video), timestep, clip, hoi=hoi)
    return Streams(out.video.float().cpu(), None if out.hoi is None else out.hoi.float().cpu())
