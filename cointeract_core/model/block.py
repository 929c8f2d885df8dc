"""One transformer block over the host's sub-modules, for the main sequence and, beside it, the HOI tokens.

Order: norm, modulate, self-attention, gate; norm, text cross-attention; norm, modulate, FFN (+ experts), gate; then
the audio injection of the listed blocks.  Source: DIT:503-710.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import ROUTER_FACE
from .inputs import AudioConstants, ClipConstants, Kernels
from .modulation import Rows, add_gated, shift_scale
from .positions import rotate
from .prepare import normalise_query


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """What is the same for all blocks of one forward."""

    kernels: Kernels
    options: dict[str, Any]  # the host's transformer_options
    experts_gate: Tensor | bool  # True/False for the whole batch, or [B, 1, 1] where samples differ
    logits: bool  # compute router logits even where the experts are off
    face_mask: Tensor | str | None
    mutual: bool


@dataclass(frozen=True, slots=True)
class BlockOutput:
    """Tokens after a block, and the router's answer where it was asked."""

    main: Tensor
    hoi: Tensor | None
    logits: Tensor | None


def run_block(
    index: int,
    block: Any,
    experts: Any | None,
    main: Tensor,
    hoi: Tensor | None,
    target_rows: Rows,
    clip: ClipConstants,
    settings: BlockSettings,
) -> BlockOutput:
    """Run block `index`.

    Args:
        block: the host's block; only its sub-modules are used.
        experts: router and experts of this block, or None for the plain backbone.
        main: main sequence `[B, N, D]`, target tokens first.
        hoi: HOI tokens `[B, M, D]`, or None.
        target_rows: modulation of the target; everything else takes the clip's rows at timestep 0.
    """
    split, clean = clip.layout.target, clip.clean_rows[index]
    hoi_rows = clip.hoi_rows[index] if hoi is not None else None

    y = shift_scale(
        block.norm1(main),
        split,
        (target_rows.shift_attention, target_rows.scale_attention),
        (clean.shift_attention, clean.scale_attention),
    )
    z = None
    if hoi is not None:
        z = torch.addcmul(hoi_rows.shift_attention, block.norm1(hoi), hoi_rows.scale_attention)
    y, z = _self_attention(block.self_attn, y, z, clip, settings)
    main = add_gated(main, y, split, target_rows.gate_attention, clean.gate_attention)
    main = main + _cross_attention(block.cross_attn, block.norm3(main), *clip.text[index], settings)
    if hoi is not None:
        hoi = torch.addcmul(hoi, z, hoi_rows.gate_attention)
        hoi = hoi + _cross_attention(block.cross_attn, block.norm3(hoi), *clip.hoi_text[index], settings)
    del y, z

    y = shift_scale(
        block.norm2(main),
        split,
        (target_rows.shift_ffn, target_rows.scale_ffn),
        (clean.shift_ffn, clean.scale_ffn),
    )
    y, logits, face = _feed_forward(block.ffn, experts, y, split, settings)
    main = add_gated(main, y, split, target_rows.gate_ffn, clean.gate_ffn)
    del y
    if hoi is not None:
        z = torch.addcmul(hoi_rows.shift_ffn, block.norm2(hoi), hoi_rows.scale_ffn)
        hoi = torch.addcmul(hoi, block.ffn(z), hoi_rows.gate_ffn)
    if index in clip.audio:
        mask = face if settings.face_mask == "router" else settings.face_mask
        main = _inject_audio(main, clip.audio[index], split, mask, settings)
    return BlockOutput(main, hoi, logits)


def _qkv(attention: Any, x: Tensor, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    heads = (attention.num_heads, attention.head_dim)
    q = rotate(attention.norm_q(attention.q(x)).unflatten(2, heads), table).flatten(2)
    k = rotate(attention.norm_k(attention.k(x)).unflatten(2, heads), table).flatten(2)
    return q, k, attention.v(x)


def _self_attention(
    attention: Any, main: Tensor, hoi: Tensor | None, clip: ClipConstants, settings: BlockSettings
) -> tuple[Tensor, Tensor | None]:
    """Joint attention where HOI is mutually visible; otherwise the main sequence never sees it."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = settings.kernels.attention(
            q, k, v, heads=attention.num_heads, transformer_options=settings.options
        )
        return attention.o(out)

    q, k, v = _qkv(attention, main, clip.main_table)
    del main
    if hoi is None:
        return attend(q, k, v), None
    hoi_q, hoi_k, hoi_v = _qkv(attention, hoi, clip.hoi_table)
    if settings.mutual:
        joint = attend(torch.cat([q, hoi_q], 1), torch.cat([k, hoi_k], 1), torch.cat([v, hoi_v], 1))
        return joint[:, : q.shape[1]].contiguous(), joint[:, q.shape[1] :]
    # HOI reads itself, the target and the product; never the person or the motion frames (DIT:503-530)
    seen = [span for span in (clip.layout.span("target"), clip.layout.span("product")) if span]
    hoi_k = torch.cat([hoi_k, *(k[:, span.slice] for span in seen)], 1)
    hoi_v = torch.cat([hoi_v, *(v[:, span.slice] for span in seen)], 1)
    return attend(q, k, v), attend(hoi_q, hoi_k, hoi_v)


def _cross_attention(attention: Any, x: Tensor, key: Tensor, value: Tensor, settings: BlockSettings) -> Tensor:
    q = attention.norm_q(attention.q(x))
    key, value = (t.expand(x.shape[0], -1, -1) for t in (key, value))
    out = settings.kernels.attention(
        q, key, value, heads=attention.num_heads, transformer_options=settings.options
    )
    return attention.o(out)


def _feed_forward(
    ffn: Any, experts: Any | None, x: Tensor, split: int, settings: BlockSettings
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Shared FFN for every token, experts for the target; also router logits and the face probability."""
    hidden = ffn[0](x)
    # the hidden layer is the largest tensor of the forward: reuse it where autograd does not need it
    hidden = ffn[1](hidden) if torch.is_grad_enabled() else torch.ops.aten.gelu_(hidden, approximate="tanh")
    out = ffn[2](hidden)
    del hidden
    gate = settings.experts_gate
    if experts is None or (gate is False and not settings.logits and settings.face_mask != "router"):
        return out, None, None
    target = x[:, :split]
    logits = experts.route(target)
    probabilities = logits.softmax(dim=-1)
    if gate is not False:
        routed = experts.add_to(out[:, :split], target, probabilities, None if gate is True else gate)
        out = _replace_start(out, routed)
    return out, logits, probabilities[..., ROUTER_FACE]


def _replace_start(x: Tensor, start: Tensor) -> Tensor:
    """`x` with its first tokens replaced; in place only where autograd is off (`x` is fresh)."""
    if start.shape[1] == x.shape[1]:
        return start
    if torch.is_grad_enabled():
        return torch.cat([start, x[:, start.shape[1] :]], dim=1)
    x[:, : start.shape[1]] = start
    return x


def _inject_audio(
    main: Tensor, audio: AudioConstants, split: int, mask: Tensor | None, settings: BlockSettings
) -> Tensor:
    """Add speech to the target: each latent frame attends to its own five audio tokens (DIT:360-400)."""
    batch, _, dim = main.shape
    target = main[:, :split].reshape(audio.shift.shape[0], -1, dim)
    query = torch.addcmul(audio.shift, normalise_query(target), audio.scale)
    update = _cross_attention(audio.injector, query, audio.key, audio.value, settings).reshape(batch, split, dim)
    if mask is not None:
        update = update * mask.to(update.dtype)[..., None]
    return torch.cat([main[:, :split] + update, main[:, split:]], dim=1)
