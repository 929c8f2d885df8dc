"""Decoding one later clip with the VAE at its real size on the `meta` device: ours, the host's, the authors'."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...cointeract_core.clips.decoder import Pace, decode_end, learn_pace, modules_of
from ...cointeract_core.constants import CLIP_FRAMES, CLIP_TARGET_LATENTS, LATENT_CHANNELS, MOTION_LATENTS
from ...cointeract_core.host.model.standalone import plain_vae
from .model14b import DTYPE, SIZES
from .tracing import Measures, Tracer

PUBLISHED = {
    "dim": 96,
    "z_dim": LATENT_CHANNELS,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "dropout": 0.0,
}
# the authors decode all 39 latents in overlapping tiles, which is so many times the work of whole frames (PERFORMANCE)
AUTHORS_TILES = {"480p": 2.47, "720p": 2.91}


def later_clip(cells: tuple[int, int]) -> tuple[int, ...]:
    """Shape of the latents behind which a later clip lies, and its own."""
    return 1, LATENT_CHANNELS, MOTION_LATENTS + CLIP_TARGET_LATENTS, *cells


def end_decoder(model: Any, like: Tensor) -> Callable[[Tensor], Iterator[Tensor]]:
    """Our decoding of a clip's own frames, in pieces, at the pace of the host's own program."""
    modules, pace = modules_of(model.decoder), _pace(model, like)
    return lambda latents: (piece for _, piece in decode_end(modules, model.conv2(latents), CLIP_FRAMES, pace))


def _pace(model: Any, like: Tensor) -> Pace:
    few = like[:, :, :6, :2, :2]
    with torch.no_grad():
        return learn_pace(modules_of(model.decoder), lambda: model.decode(few))


def latents_a_step() -> int:
    """How many latents the host's own program decodes at once."""
    return _pace(*_on_meta("480p")).latents


def _on_meta(size: str) -> tuple[Any, Tensor]:
    with torch.device("meta"):
        model = plain_vae(PUBLISHED).to(DTYPE)
    return model, torch.empty(later_clip(SIZES[size]), device="meta", dtype=DTYPE)


def trace_decoding(size: str) -> dict[str, Measures]:
    """Ours and the host's decoding of the 39 latents behind which a later clip lies."""
    model, latents = _on_meta(size)
    pieces = end_decoder(model, latents)

    def ours(latents: Tensor) -> None:
        deque(pieces(latents), maxlen=0)

    measures = {}
    for name, decode in (("ours", ours), ("host", model.decode)):
        with torch.no_grad(), Tracer() as tracer:
            decode(latents)
        measures[name] = tracer.measures
    return measures
