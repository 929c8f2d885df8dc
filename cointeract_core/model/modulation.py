"""Shift, scale and gate by segments: the target follows the timestep, everything else is clean (timestep 0).

Two modulations per block serve the whole sequence; nothing is expanded to one per token.  Where autograd is off,
results are written into tensors made a moment before, so no second copy of the sequence is alive.
Source: DIT:594-710.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .parts import Norm


@dataclass(frozen=True, slots=True)
class Modulation:
    """A block's modulation at one timestep, each `[B or 1, 1, D]`; the scales already hold ``1 + scale``."""

    shift_attention: Tensor
    scale_attention: Tensor
    gate_attention: Tensor
    shift_ffn: Tensor
    scale_ffn: Tensor
    gate_ffn: Tensor

    @property
    def attention(self) -> tuple[Tensor, Tensor]:
        """Shift and scale in front of self-attention."""
        return self.shift_attention, self.scale_attention

    @property
    def ffn(self) -> tuple[Tensor, Tensor]:
        """Shift and scale in front of the FFN."""
        return self.shift_ffn, self.scale_ffn


def timestep_embedding(timestep: Tensor, dim: int) -> Tensor:
    """Sinusoidal embedding of `[B]` timesteps (0-1000), cosines first, in float64 where the device has it."""
    precise = torch.float32 if timestep.device.type in ("mps", "xpu") else torch.float64
    half = dim // 2
    exponent = torch.arange(half, dtype=precise, device=timestep.device) / half
    angle = timestep.to(precise)[:, None] * torch.pow(10000.0, -exponent)[None]
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def block_modulation(stacked: Tensor, projected: Tensor) -> list[Modulation]:
    """Modulation of every block at one timestep.

    Args:
        stacked: as learned, of all blocks, `[L, 6, D]`.
        projected: projected timestep embedding, `[B or 1, 6, D]`.
    """
    table = stacked[:, None] + projected[None]  # [L, B, 6, D]
    table[:, :, 1::3] += 1.0  # the scales, 1 and 4 of the six, multiply as (1 + scale)
    return [Modulation(*(part[:, None] for part in block.unbind(1))) for block in table.unbind(0)]


def modulated(
    norm: Norm, x: Tensor, split: int, target: tuple[Tensor, Tensor], rest: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """``norm(x) * scale + shift``.

    Args:
        norm: layer norm without weights of its own.
        x: `[B, N, D]`, left as it is.
        split: the first `split` tokens take `target`'s shift and scale, the others `rest`'s; all take `target`'s where
            there is no `rest`.
    """
    if rest is None or split == x.shape[1]:
        return _norm(norm, x, *target)
    if torch.is_grad_enabled():
        return torch.cat([_norm(norm, x[:, :split], *target), _norm(norm, x[:, split:], *rest)], dim=1)
    # one pass over all, then the few other tokens again: cheaper than joining two parts
    out = _norm(norm, x, *target)
    out[:, split:] = _norm(norm, x[:, split:], *rest)
    return out


def _norm(norm: Norm, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    if shift.shape[0] == 1:  # one for the batch is what a layer norm's own weight and bias are
        return F.layer_norm(x, x.shape[-1:], scale[0, 0], shift[0, 0], norm.eps)
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=norm.eps), scale)


def add_gated(x: Tensor, update: Tensor, split: int, target: Tensor, rest: Tensor | None = None) -> Tensor:
    """``x + update * gate`` by segment, as in `modulated`.

    `update` is fresh and overwritten where autograd is off, `x` never is.
    """
    parts = [(slice(0, split), target)]
    if rest is not None and split < x.shape[1]:
        parts.append((slice(split, None), rest))
    if torch.is_grad_enabled():
        sums = [torch.addcmul(x[:, part], update[:, part], gate) for part, gate in parts]
        return torch.cat(sums, dim=1) if len(sums) > 1 else sums[0]
    for part, gate in parts:
        write_into(update[:, part], torch.addcmul, x[:, part], update[:, part], gate)
    return update


def write_into(place: Tensor, function: Callable[..., Tensor], *arguments: Tensor) -> None:
    """``function(*arguments, out=place)``: the same numbers, also for the compiler, which wants whole memory."""
    if torch.compiler.is_compiling():
        place.copy_(function(*arguments))
    else:
        function(*arguments, out=place)
