"""Doubles with the form of newer hosts, so that each is held to on the oldest one too.

Each does what the newer form does where this pack touches it, written from its behaviour; `docs/comfyui.md` lists which
version has which form.
"""

from __future__ import annotations

from typing import Any

import torch
from comfy.ldm.wan.vae import CausalConv3d
from torch import Tensor

KEPT = 2  # frames a newer decoder keeps of what came in last, however few those are


def paired_block(self: Any, x: Tensor, feat_cache: list | None = None, feat_idx: list[int] = [0]) -> Tensor:  # noqa: B006
    """A residual block (0.17): of the frames before, it knows those of the last call alone."""
    out = x
    for part in self.residual:
        if feat_cache is not None and isinstance(part, CausalConv3d):
            place = feat_idx[0]
            before, feat_cache[place] = feat_cache[place], out[:, :, -KEPT:]
            out = part(out, before)
            feat_idx[0] += 1
        else:
            out = part(out)
    return out + self.shortcut(x)


def paired_decode(self: Any, z: Tensor) -> Tensor:
    """A whole decode (0.17): one latent, then two at a time, in pieces of two frames once they have doubled."""
    moments, memory, frames = self.conv2(z), {}, []
    for start in (0, *range(1, z.shape[2], KEPT)):
        step = moments[:, :, start : start + (KEPT if start else 1)]
        decoder = self.decoder
        layers = [decoder.conv1, *decoder.middle, *decoder.upsamples, *decoder.head]
        frames += _paired_run(layers, step, memory)
    return torch.cat(frames, dim=2)


def _paired_run(layers: list[Any], x: Tensor, memory: dict[int, Any]) -> list[Tensor]:
    for number, layer in enumerate(layers):
        slots = memory.setdefault(id(layer), [None] * 8)
        if isinstance(layer, CausalConv3d):
            before, slots[0] = slots[0], x[:, :, -KEPT:]
            x = layer(x, before)
        elif hasattr(layer, "residual"):
            x = layer(x, slots, [0])
        elif getattr(layer, "mode", "") == "upsample3d":
            doubled = slots[0] is not None
            if doubled:
                before, slots[0] = (None if isinstance(slots[0], str) else slots[0]), x[:, :, -KEPT:]
                pairs = layer.time_conv(x, before)
                half = pairs.shape[1] // 2
                x = torch.stack([pairs[:, :half], pairs[:, half:]], dim=3).flatten(2, 3)
            else:
                slots[0] = "the first is past"
            x = layer(x)
            if x.shape[2] > KEPT:
                rest = layers[number + 1 :]
                return [done for piece in x.split(KEPT, dim=2) for done in _paired_run(rest, piece, memory)]
        else:
            x = layer(x)
    return [x]
