"""Decode the last frames of a clip with the host's causal VAE, and no more than they need.

A later clip is decoded behind its 19 motion latents, of which nothing is kept.  The decoder is causal and works latent
by latent: the wide layers near the picture look a few frames back only, so they need not run on the oldest motion
latents at all.  Where each layer has to begin follows from its kernels; what is kept is the same bit by bit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.sd
import torch
from comfy.ldm.wan.vae import AttentionBlock, CausalConv3d, Decoder3d, Resample, ResidualBlock, WanVAE
from torch import Tensor, nn

from ..constants import TEMPORAL_STRIDE
from .progress import stop_if_interrupted

log = logging.getLogger("cointeract")

FIRST_DONE = "Rep"  # the host's mark in an upsampler's cache for “the first latent, which gives one frame, is past”
REMEMBERED = 2  # frames a causal convolution keeps of what it has seen


def decode_last(vae: Any, latents: Tensor, frames: int) -> Tensor:
    """The last frames of latents.

    Args:
        vae: the host's VAE; one of another kind decodes everything, by its own means.
        latents: `[1, 16, T, h, w]`.
        frames: how many of the ``4 T - 3`` are wanted, where there are so many.

    Returns:
        `[frames, H, W, 3]` in 0-1.
    """
    frames = min(frames, (latents.shape[2] - 1) * TEMPORAL_STRIDE + 1)
    if not _is_known(vae):
        return vae.decode(latents)[0][-frames:]
    try:
        return _stream(vae, latents, frames)
    except comfy.model_management.OOM_EXCEPTION:
        log.warning("The VAE ran out of memory on a whole frame; decoding in tiles.")
    return vae.decode(latents)[0][-frames:]  # the host tiles by itself where memory runs out


@dataclass(slots=True)
class Layer:
    """A layer of the decoder, what it remembers, and the first latent it runs on."""

    module: nn.Module
    begins: int
    cache: list[Any]

    def __call__(self, x: Tensor) -> Tensor:
        """The layer on one latent's worth of frames, after those before."""
        if isinstance(self.module, ResidualBlock | Resample):
            return self.module(x, self.cache, [0])
        if not isinstance(self.module, CausalConv3d):
            return self.module(x)
        before, seen = self.cache[0], x[:, :, -REMEMBERED:]
        if seen.shape[2] < REMEMBERED and before is not None:
            seen = torch.cat([before[:, :, -1:], seen], dim=2)
        self.cache[0] = seen
        return self.module(x, before)


def make_layers(decoder: Decoder3d, latents: int, frames: int) -> list[Layer]:
    """Layers in order, each with the first latent it has to run on for the last `frames` frames to be right."""
    modules = [decoder.conv1, *decoder.middle, *decoder.upsamples, *decoder.head]
    needed, rate, layers = (latents - 1) * TEMPORAL_STRIDE + 1 - frames, TEMPORAL_STRIDE, []
    for module in reversed(modules):
        if isinstance(module, Resample) and module.mode == "upsample3d":
            needed, rate = (needed + 1) // 2, rate // 2
        needed -= _reach(module)
        begins = 0 if needed <= 0 else (needed - 1) // rate + 1
        temporal = isinstance(module, Resample) and module.mode == "upsample3d" and begins > 0
        layers.append(Layer(module, begins, [FIRST_DONE if temporal else None] * _slots(module)))
    return layers[::-1]


def _reach(module: nn.Module) -> int:
    """Frames a layer looks back, at the rate of its input."""
    if isinstance(module, ResidualBlock):
        return sum(_reach(layer) for layer in module.residual)
    if isinstance(module, Resample):
        return _reach(module.time_conv) if module.mode == "upsample3d" else 0
    return module.kernel_size[0] - 1 if isinstance(module, CausalConv3d) else 0


def _slots(module: nn.Module) -> int:
    """Places a layer needs in its cache."""
    return sum(isinstance(part, CausalConv3d) for part in module.modules())


def _is_known(vae: Any) -> bool:
    """Whether this is the host's own Wan 2.1 VAE, decoder and all, in nobody else's wrapper."""
    if type(vae) is not comfy.sd.VAE or type(vae.first_stage_model) is not WanVAE:
        return False
    decoder = vae.first_stage_model.decoder
    return type(decoder) is Decoder3d and all(
        isinstance(layer, AttentionBlock | Resample | ResidualBlock) for layer in (*decoder.middle, *decoder.upsamples)
    )


def decode_chunks(model: WanVAE, latents: Tensor, frames: int) -> Iterator[tuple[int, Tensor]]:
    """The frames of one latent after the other, `[1, 3, 1 or 4, H, W]`, from where the last `frames` ones begin.

    Args:
        model: the host's module, on the device and in the precision of `latents`.
    """
    moments = model.conv2(latents)
    layers = make_layers(model.decoder, latents.shape[2], frames)
    for number in range(latents.shape[2]):
        stop_if_interrupted()
        x = moments[:, :, number : number + 1]
        for layer in layers:
            if number < layer.begins:
                break
            x = layer(x)
        else:
            yield number, x


def _stream(vae: Any, latents: Tensor, frames: int) -> Tensor:
    """Latent by latent; finished frames leave the device at once."""
    memory = vae.memory_used_decode(latents.shape, vae.vae_dtype)
    comfy.model_management.load_models_gpu([vae.patcher], memory_required=memory, force_full_load=vae.disable_offload)
    height, width = (side * vae.spacial_compression_decode() for side in latents.shape[-2:])
    out = torch.empty(frames, height, width, 3, device=vae.output_device)
    with torch.inference_mode():
        own = latents.to(vae.vae_dtype).to(vae.device)
        for number, chunk in decode_chunks(vae.first_stage_model, own, frames):
            _put(vae.process_output(chunk.to(vae.output_device).float()), out, number, latents.shape[2])
    return out


def _put(chunk: Tensor, out: Tensor, number: int, latents: int) -> None:
    """Write the frames of latent `number` where they belong in the last ones of all."""
    after = (latents - 1 - number) * TEMPORAL_STRIDE
    stop = len(out) - after
    start = max(stop - chunk.shape[2], 0)
    if stop > start:
        out[start:stop] = chunk[0].movedim(0, -1)[start - stop :]
