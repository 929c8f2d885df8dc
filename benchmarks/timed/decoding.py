"""Decoding a later clip, timed: the host's whole decode beside ours, which leaves out what nobody sees."""

from __future__ import annotations

from collections import deque

import torch

from ...cointeract_core.host.model.standalone import plain_vae
from ..traced.model14b import SIZES
from ..traced.vae14b import PUBLISHED, end_decoder, later_clip
from .contest import Contest
from .timing import Case

NARROW = PUBLISHED | {"dim": 24}  # on a CPU
NARROW_CELLS = (8, 6)


def decode_cases(contest: Contest) -> list[Case]:
    """Both ways, with random weights: the published VAE at a size of the model, a narrow one at any other."""
    device, dtype, cells = contest.device, contest.dtype, contest.size.cells
    published = cells in SIZES.values()
    config, cells = (PUBLISHED, cells) if published else (NARROW, NARROW_CELLS)
    model = plain_vae(config).to(device, dtype)
    generator = torch.Generator(device).manual_seed(0)
    for weight in model.state_dict().values():
        # keeps the spread of what passes through, so that no number is slow for being tiny
        weight.normal_(std=max(weight[0].numel(), 1) ** -0.5, generator=generator)
    latents = torch.randn(later_clip(cells), generator=generator, device=device).to(dtype)

    pieces = end_decoder(model, latents)

    def host(_round: int) -> None:
        with torch.inference_mode():
            model.decode(latents)

    def ours(_round: int) -> None:
        with torch.inference_mode():
            deque((piece.float().cpu() for piece in pieces(latents)), maxlen=0)

    return [Case("decode, host", host), Case("decode, ours", ours)]
