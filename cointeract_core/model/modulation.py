"""Shift, scale and gate by segments: the target follows the timestep, everything else is clean (timestep 0).

Two rows of modulation per block serve the whole sequence; nothing is expanded to one row per token.  Where autograd
is off, results are written into tensors made a moment before, so no second copy of the sequence is alive.
Source: DIT:594-710.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """One row of a block's modulation, each `[B, 1, D]`; the scales already hold ``1 + scale``."""

    shift_attention: Tensor
    scale_attention: Tensor
    gate_attention: Tensor
    shift_ffn: Tensor
    scale_ffn: Tensor
    gate_ffn: Tensor


def timestep_embedding(timestep: Tensor, dim: int) -> Tensor:
    """Sinusoidal embedding of `[B]` timesteps (0-1000), cosines first, in float64 where the device has it."""
    precise = torch.float32 if timestep.device.type in ("mps", "xpu") else torch.float64
    half = dim // 2
    exponent = torch.arange(half, dtype=precise, device=timestep.device) / half
    angle = timestep.to(precise)[:, None] * torch.pow(10000.0, -exponent)[None]
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def block_rows(stacked: Tensor, projected: Tensor) -> list[Rows]:
    """Modulation rows of every block for one timestep.

    Args:
        stacked: learned modulation of all blocks, `[L, 6, D]`.
        projected: projected timestep embedding, `[B, 6, D]`.
    """
    table = stacked[:, None] + projected[None]  # [L, B, 6, D]
    bump = torch.zeros(6, 1, dtype=table.dtype)
    bump[1] = bump[4] = 1.0  # the scale rows multiply as (1 + scale)
    table = table + bump.to(table.device)
    return [Rows(*(row[:, None] for row in block.unbind(1))) for block in table.unbind(0)]


def shift_scale(normed: Tensor, split: int, target: tuple[Tensor, Tensor], rest: tuple[Tensor, Tensor]) -> Tensor:
    """``normed * scale + shift`` with one (shift, scale) for the first `split` tokens and one for the others.

    Args:
        normed: fresh `[B, N, D]`; overwritten where autograd is off.
    """
    return _by_segment(normed, normed, split, (target[0], target[1]), (rest[0], rest[1]), gate=False)


def add_gated(x: Tensor, update: Tensor, split: int, target: Tensor, rest: Tensor) -> Tensor:
    """``x + update * gate`` by segment; `update` is fresh and overwritten where autograd is off, `x` never is."""
    return _by_segment(x, update, split, (x, target), (x, rest), gate=True)


def _by_segment(x: Tensor, fresh: Tensor, split: int, target: tuple, rest: tuple, *, gate: bool) -> Tensor:
    parts = [(slice(0, split), target), (slice(split, x.shape[1]), rest)]
    parts = [(where, pair) for where, pair in parts if where.stop > where.start]
    pieces = []
    for where, (base, factor) in parts:
        base = base[:, where] if gate else base
        if torch.is_grad_enabled():
            pieces.append(torch.addcmul(base, fresh[:, where], factor))
        else:
            torch.addcmul(base, fresh[:, where], factor, out=fresh[:, where])
    if not pieces:
        return fresh
    return torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0]
