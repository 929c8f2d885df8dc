"""One transformer block over the host's sub-modules, for the main sequence and, beside it, the HOI tokens.

Order: norm, modulate, self-attention, gate; norm, text cross-attention; norm, modulate, FFN (+ experts), gate; then
the audio injection of the listed blocks.  Source: DIT:503-710.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..constants import ROUTER_FACE
from ..errors import InputError
from .block_settings import BlockSettings, Routing
from .experts import HumanAwareExperts
from .inputs import AudioConstants, BlockConstants, HoiBlockConstants, Kernels
from .modulation import Modulation, add_gated, modulated, write_into
from .parts import Attention, BlockParts, Layer
from .positions import Rotation, rotate
from .prepare import normalise_query


@dataclass(slots=True)
class Tokens:
    """The sequences on their way through the blocks.

    A block puts new tensors in their place as it goes; were they passed as arguments, every caller would keep the old
    ones alive beside the largest of a block's own.
    """

    main: Tensor  # [B, N, D], target tokens first
    hoi: Tensor | None  # [B, M, D]


@dataclass(frozen=True, slots=True)
class RouterAnswer:
    """What a block's router said, where it was asked."""

    logits: Tensor | None = None  # [B, target tokens, 3]
    face: Tensor | None = None  # [B, target tokens], a probability


class Block(BlockParts, Protocol):
    """`BlockParts` of our own class, whose call is `run_block`."""

    def __call__(
        self,
        experts: HumanAwareExperts | None,
        tokens: Tokens,
        timed: Modulation,
        own: BlockConstants,
        settings: BlockSettings,
        *,
        target_only: bool = False,
        attended: bool = False,
    ) -> RouterAnswer:
        """See `run_block`."""


def run_block(
    block: BlockParts,
    experts: HumanAwareExperts | None,
    tokens: Tokens,
    timed: Modulation,
    own: BlockConstants,
    settings: BlockSettings,
    *,
    target_only: bool = False,
    attended: bool = False,
) -> RouterAnswer:
    """Run a block on `tokens`, without its audio injection.

    Args:
        block: the host's block; only its sub-modules are used.
        experts: router and experts of this block, or None for the plain backbone.
        timed: modulation of the target; everything else takes the clip's own, at timestep 0.
        own: the clip's constants for this block.
        target_only: give only the target tokens, for nothing reads the other main tokens after the last block.
        attended: `attend_to_self` has been done, in a forward without HOI.

    Raises:
        InputError: HOI tokens without their constants.
    """
    split, clean = own.layout.target, own.clean
    hoi_update = None
    if not attended:
        hoi_update = attend_to_self(block, tokens, timed, own, settings, split if target_only else None)
    tokens.main = tokens.main + _cross_attention(block.cross_attn, block.norm3(tokens.main), *own.text, settings)
    for patch in settings.patches.get("attn2_patch", ()):
        tokens.main = patch({"x": tokens.main, "transformer_options": settings.options})
    update, answer = settings.part(_feed_forward, block, experts, tokens.main, split, timed, clean, settings)
    tokens.main = add_gated(tokens.main, update, split, timed.gate_ffn, clean.gate_ffn)
    if hoi_update is not None:
        hoi, beside = _hoi_part(tokens, own)
        hoi = add_gated(hoi, hoi_update, hoi.shape[1], beside.modulation.gate_attention)
        hoi = hoi + _cross_attention(block.cross_attn, block.norm3(hoi), *beside.text, settings)
        update, _ = settings.part(
            _feed_forward, block, None, hoi, hoi.shape[1], beside.modulation, beside.modulation, settings
        )
        tokens.hoi = add_gated(hoi, update, hoi.shape[1], beside.modulation.gate_ffn)
    return answer


def _hoi_part(tokens: Tokens, own: BlockConstants) -> tuple[Tensor, HoiBlockConstants]:
    """The HOI tokens and what they read; a forward has both or neither."""
    if tokens.hoi is None or own.hoi is None:
        raise InputError(
            "HOI tokens and constants of the HOI stream come together; prepare the clip with the same HOI."
        )
    return tokens.hoi, own.hoi


def attend_to_self(
    block: BlockParts,
    tokens: Tokens,
    timed: Modulation,
    own: BlockConstants,
    settings: BlockSettings,
    first: int | None = None,
) -> Tensor | None:
    """A block up to its cross-attention, which neither prompt nor speech has entered yet in the first block.

    Args:
        first: keep only so many of the main tokens.

    Returns:
        what the HOI tokens get; they are left as they are until the main tokens are done with.
    """
    split, clean = own.layout.target, own.clean
    kept = tokens.main.shape[1] if first is None else first

    def attend(main: Tensor, hoi: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return _self_attention(block, Tokens(main, hoi), kept, timed, own, settings)

    update, hoi_update = settings.part(attend, tokens.main, tokens.hoi)
    tokens.main = add_gated(tokens.main[:, :kept], update, split, timed.gate_attention, clean.gate_attention)
    return hoi_update


def _rotated(attention: Attention, layer: Layer, norm: Layer, x: Tensor, by: Rotation, pieces: int = 1) -> Tensor:
    return rotate(norm(layer(x)), by, attention.num_heads, pieces)


def _self_attention(
    block: BlockParts,
    tokens: Tokens,
    kept: int,
    timed: Modulation,
    own: BlockConstants,
    settings: BlockSettings,
) -> tuple[Tensor, Tensor | None]:
    """Self-attention of the first `kept` main tokens and of HOI: joint where HOI is mutually visible, else apart."""
    attention, clean = block.self_attn, own.clean

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = _attend(attention, q, k, v, settings)
        for patch in settings.patches.get("attn1_patch", ()):
            of_heads = {
                "q": q.unflatten(-1, (attention.num_heads, -1)),
                "k": k.unflatten(-1, (attention.num_heads, -1)),
            }
            out = patch({"x": out, **of_heads, "transformer_options": settings.options})
        return attention.o(out)

    x = modulated(block.norm1, tokens.main, own.layout.target, timed.attention, clean.attention)
    q = _rotated(attention, attention.q, attention.norm_q, x[:, :kept], own.main_rotation.first(kept))
    # here the most is alive at once: the sequence, `x`, the queries, and what turns the keys; hence in two parts
    k = _rotated(attention, attention.k, attention.norm_k, x, own.main_rotation, pieces=2)
    v = attention.v(x)
    del x
    if tokens.hoi is None:
        return attend(q, k, v), None
    hoi, beside = _hoi_part(tokens, own)
    x = modulated(block.norm1, hoi, hoi.shape[1], beside.modulation.attention)
    hoi_q = _rotated(attention, attention.q, attention.norm_q, x, beside.rotation)
    hoi_k = _rotated(attention, attention.k, attention.norm_k, x, beside.rotation)
    hoi_v = attention.v(x)
    if settings.mutual:
        joint = attend(torch.cat([q, hoi_q], 1), torch.cat([k, hoi_k], 1), torch.cat([v, hoi_v], 1))
        return joint[:, :kept], joint[:, kept:]
    # HOI reads itself, the target and the product; never the person or the motion frames (DIT:503-530)
    seen = [span for span in (own.layout.span("target"), own.layout.span("product")) if span]
    hoi_k = torch.cat([hoi_k, *(k[:, span.slice] for span in seen)], 1)
    hoi_v = torch.cat([hoi_v, *(v[:, span.slice] for span in seen)], 1)
    return attend(q, k, v), attend(hoi_q, hoi_k, hoi_v)


def _cross_attention(attention: Attention, x: Tensor, key: Tensor, value: Tensor, settings: BlockSettings) -> Tensor:
    q = attention.norm_q(attention.q(x))
    key, value = (t.expand(x.shape[0], -1, -1) for t in (key, value))
    return attention.o(_attend(attention, q, key, value, settings))


def _attend(attention: Attention, q: Tensor, k: Tensor, v: Tensor, settings: BlockSettings) -> Tensor:
    """The host's attention for a layer; a file may prefer one, which the layer then holds (newer hosts)."""
    wish = getattr(attention, "comfy_attention", None)
    more = {} if wish is None else {"preferred_attention": wish}
    return settings.kernels.attention(q, k, v, heads=attention.num_heads, transformer_options=settings.options, **more)


def _feed_forward(
    block: BlockParts,
    experts: HumanAwareExperts | None,
    main: Tensor,
    split: int,
    timed: Modulation,
    clean: Modulation,
    settings: BlockSettings,
) -> tuple[Tensor, RouterAnswer]:
    """Shared FFN for every token, experts for the target; also the router's answer."""
    x = modulated(block.norm2, main, split, timed.ffn, clean.ffn)
    hidden = block.ffn[0](x)
    # the hidden layer is the largest tensor of the forward: reuse it where autograd does not need it
    grad = torch.is_grad_enabled()
    hidden = block.ffn[1](hidden) if grad else torch.ops.aten.gelu_(hidden, approximate="tanh")
    out = block.ffn[2](hidden)
    del hidden
    if experts is None or (settings.routing is None and not settings.logits and not settings.face):
        return out, RouterAnswer()
    target = x[:, :split]
    logits = experts.route(target)
    probabilities = logits.softmax(dim=-1)
    if settings.routing is not None:
        out = _add_experts(experts, out, target, probabilities, settings.routing, settings.kernels)
    return out, RouterAnswer(logits, probabilities[..., ROUTER_FACE])


def _add_experts(
    experts: HumanAwareExperts, out: Tensor, target: Tensor, probabilities: Tensor, routing: Routing, kernels: Kernels
) -> Tensor:
    """The FFN's output with the experts' share on the target tokens."""
    split = target.shape[1]
    routed = experts.add_to(
        out[:, :split],
        target,
        probabilities if routing.gate is None else probabilities * routing.gate,
        weights=kernels.weights,
        bias_units=routing.bias_units,
    )
    return torch.cat([routed, out[:, split:]], dim=1) if torch.is_grad_enabled() else out


def inject_audio(
    main: Tensor, audio: AudioConstants, split: int, mask: Tensor | None, settings: BlockSettings
) -> Tensor:
    """Add speech to the target: each latent attends to its own five audio tokens (DIT:360-400).

    Args:
        main: `[B, N, D]`, left as it is.
        mask: `[B or 1, split]`, what of the speech each token hears; None for all.
    """
    batch, tokens, dim = main.shape
    query = normalise_query(main[:, :split].reshape(len(audio.shift), -1, dim))
    grad = torch.is_grad_enabled()
    query = torch.addcmul(audio.shift, query, audio.scale, out=None if grad else query)
    update = _cross_attention(audio.injector, query, audio.key, audio.value, settings).reshape(batch, split, dim)
    if mask is not None:
        update = update * mask.to(update.dtype)[..., None]
    if tokens == split:
        return main + update
    if grad:
        return torch.cat([main[:, :split] + update, main[:, split:]], dim=1)
    out = torch.empty_like(main)
    write_into(out[:, :split], torch.add, main[:, :split], update)
    out[:, split:] = main[:, split:]
    return out
