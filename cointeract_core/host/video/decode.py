"""Decode the last frames of a clip with the host's VAE, and no more than they need where that is exact.

Which VAE allows it is found by trying: a few random latents go through the VAE's own whole decode and through ours
(`clips/decoder.py`), at the pace seen on the way.  Where the two differ, as they would with a decoder of a build or a
program not known here, the VAE decodes everything by its own means.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import comfy.model_management
import torch
from torch import Tensor, nn

from ...clips.decoder import Pace, decode_end, learn_pace, modules_of
from ...constants import LATENT_CHANNELS
from ...shapes import video_frames
from ..forms import cuda_device, is_out_of_memory
from ..objects import Vae
from ..page.progress import stop_if_interrupted

log = logging.getLogger("cointeract")

TRIED = (1, LATENT_CHANNELS, 6, 2, 2)  # latents: a first step, whole ones of one or two latents, and a rest
SAME = 8 / 255  # of the picture's range; rounding in 16 bits stays below, a wrong frame does not
DecodeLast = Callable[[Tensor, int], Tensor]


def end_decoder(vae: Vae) -> DecodeLast:
    """How to decode the last frames of latents with a VAE.

    Args:
        vae: the host's VAE.

    Returns:
        a function of latents `[1, 16, T, h, w]` and how many of the ``4 T - 3`` frames are wanted; it gives
        `[frames, H, W, 3]` in 0-1.
    """
    model = getattr(vae, "first_stage_model", None)
    modules = modules_of(getattr(model, "decoder", None)) if hasattr(model, "conv2") else None
    if modules is None:
        return partial(_decode_whole, vae)
    latents = torch.randn(TRIED, generator=torch.Generator().manual_seed(0))
    whole: list[Tensor] = []
    pace = learn_pace(modules, lambda: whole.append(vae.decode(latents)[0]))
    if pace is not None and _agrees(partial(_stream, vae, modules, pace), latents, whole[0]):
        return partial(_decode_short, vae, modules, pace)
    log.info("This VAE decodes in a way of its own, so whole clips are decoded with it; that takes about half longer.")
    return partial(_decode_whole, vae)


def decode_last(vae: Vae, latents: Tensor, frames: int) -> Tensor:
    """The last frames of latents, by `end_decoder`; who decodes several times keeps that."""
    return end_decoder(vae)(latents, frames)


def _agrees(ours: DecodeLast, latents: Tensor, whole: Tensor) -> bool:
    """Whether our decode of few frames and of all gives what the VAE gave."""
    for frames in (len(whole) // 2, len(whole)):
        try:
            end = ours(latents, frames)
        except (RuntimeError, TypeError, AttributeError, ValueError):  # layers that take other arguments or shapes
            return False
        if end.shape != whole[-frames:].shape or (end - whole[-frames:].to(end)).abs().max() > SAME:
            return False
    return True


def _wanted(latents: Tensor, frames: int) -> int:
    return min(frames, video_frames(latents.shape[2]))


def _decode_whole(vae: Vae, latents: Tensor, frames: int) -> Tensor:
    return vae.decode(latents)[0][-_wanted(latents, frames) :]


def _decode_short(vae: Vae, modules: list[nn.Module], pace: Pace, latents: Tensor, frames: int) -> Tensor:
    try:
        return _stream(vae, modules, pace, latents, _wanted(latents, frames))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        log.warning("The VAE ran out of memory on a whole frame; decoding in tiles.")
    return _decode_whole(vae, latents, frames)  # the host tiles by itself where memory runs out


def _stream(vae: Vae, modules: list[nn.Module], pace: Pace, latents: Tensor, frames: int) -> Tensor:
    """Step by step; finished frames leave the device at once."""
    memory = vae.memory_used_decode(latents.shape, vae.vae_dtype)
    comfy.model_management.load_models_gpu([vae.patcher], memory_required=memory, force_full_load=vae.disable_offload)
    height, width = (side * vae.spacial_compression_decode() for side in latents.shape[-2:])
    out = torch.empty(frames, height, width, 3, device=vae.output_device)
    skipped = video_frames(latents.shape[2]) - frames
    with torch.inference_mode(), cuda_device(vae.device):
        moments = vae.first_stage_model.conv2(latents.to(vae.vae_dtype).to(vae.device))
        for number, piece in decode_end(modules, moments, frames, pace, stop_if_interrupted):
            kept = vae.process_output(piece.to(vae.output_device).float())[0].movedim(0, -1)[max(skipped - number, 0) :]
            start = max(number - skipped, 0)
            out[start : start + len(kept)] = kept
    return out
