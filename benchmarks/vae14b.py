"""Decoding one later clip with the VAE at its real size on the `meta` device: ours, the host's, the authors'."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from ..cointeract_core.constants import CLIP_FRAMES, CLIP_TARGET_LATENTS, LATENT_CHANNELS, MOTION_LATENTS
from ..cointeract_core.host.decode import decode_chunks
from ..cointeract_core.host.standalone import plain_vae
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


def trace_decoding(size: str) -> dict[str, Measures]:
    """Ours and the host's decoding of the 39 latents behind which a later clip lies."""
    with torch.device("meta"):
        model = plain_vae(PUBLISHED).to(DTYPE)
    latents = torch.empty(later_clip(SIZES[size]), device="meta", dtype=DTYPE)

    def ours(latents: Tensor) -> None:
        deque(decode_chunks(model, latents, CLIP_FRAMES), maxlen=0)

    measures = {}
    for name, decode in (("ours", ours), ("host", model.decode)):
        with torch.no_grad(), Tracer() as tracer:
            decode(latents)
        measures[name] = tracer.measures
    return measures
