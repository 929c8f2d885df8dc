"""Integer rotary positions of every token group, and the one shared cos/sin table.

The released weights expect positions cut to integers, and HOI tokens at columns ``1024-w … 1023`` (the reference
indexes its 1024-row table with negative numbers).  Source: DIT:104-131, 1048-1050, 1183-1191.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..constants import (
    MOTION_TIMES_1X,
    MOTION_TIMES_2X,
    MOTION_TIMES_4X,
    PATCH,
    PERSON_TIME,
    PRODUCT_TIME,
    ROPE_TABLE_ROWS,
    ROPE_THETA,
)

Integers: TypeAlias = NDArray[np.int64]

PROMOTING = ("cuda", "cpu", "meta")  # devices whose kernels take operands of several types


@dataclass(frozen=True, slots=True)
class Axes:
    """Positions along time, height and width of one token group; its tokens are their product, time slowest."""

    t: Integers
    h: Integers
    w: Integers

    @property
    def tokens(self) -> int:
        """Number of tokens in the group."""
        return len(self.t) * len(self.h) * len(self.w)

    def grid(self) -> Integers:
        """Positions of every token, `[N, 3]` integers."""
        mesh = np.meshgrid(self.t, self.h, self.w, indexing="ij")
        return np.stack([axis.reshape(-1) for axis in mesh], axis=1)


def spread(places: int, tokens: int) -> Integers:
    """Positions ``0 … places-1`` spread evenly over `tokens` tokens and cut to integers (float64, as published)."""
    return np.linspace(0, places - 1, tokens).astype(np.int64)


def target_axes(latents: int, rows: int, columns: int) -> Axes:
    """The noisy target: latents of `rows` x `columns` tokens."""
    return Axes(np.arange(latents), np.arange(rows), np.arange(columns))


def person_axes(rows: int, columns: int) -> Axes:
    """The person reference, one latent at time 30."""
    return Axes(np.array([PERSON_TIME]), np.arange(rows), np.arange(columns))


def product_axes(rows: int, columns: int, scale: float) -> Axes:
    """The product reference at time 31; `scale` below 1 packs its tokens into fewer positions."""
    high, wide = (max(1, round(tokens * scale)) for tokens in (rows, columns))
    return Axes(np.array([PRODUCT_TIME]), spread(high, rows), spread(wide, columns))


def motion_axes(latent_rows: int, latent_columns: int) -> tuple[Axes, Axes, Axes]:
    """The three motion groups: newest latent in full, the next two and the oldest sixteen on coarser grids.

    Args:
        latent_rows, latent_columns: cells of a latent; at least 8, not necessarily a multiple of 8.
    """
    rows, columns = latent_rows // PATCH, latent_columns // PATCH
    fine = Axes(np.array(MOTION_TIMES_1X), np.arange(rows), np.arange(columns))
    middle = Axes(np.array(MOTION_TIMES_2X), spread(rows, latent_rows // 4), spread(columns, latent_columns // 4))
    coarse = Axes(np.array(MOTION_TIMES_4X), spread(rows, latent_rows // 8), spread(columns, latent_columns // 8))
    return fine, middle, coarse


def hoi_axes(latents: int, rows: int, columns: int) -> Axes:
    """The HOI stream: times and rows of the target, columns from the end of the published table."""
    return Axes(np.arange(latents), np.arange(rows), np.arange(ROPE_TABLE_ROWS - columns, ROPE_TABLE_ROWS))


def pair_split(head_dim: int) -> tuple[int, int, int]:
    """How many of the head's rotation pairs go to time, height and width (22/21/21 for a head of 128)."""
    pairs = head_dim // 2
    third = pairs // 3
    return pairs - 2 * third, third, third


@dataclass(frozen=True, slots=True)
class Rotation:
    """Cosine and sine of every token and pair, shared by all heads and blocks; float32.

    A float32 model needs `turn` alone, 4 bytes x head_dim per token; 16-bit models need twice that.
    """

    turn: Tensor  # [1, N, 1, head_dim / 2, 2], the last axis (cos, sin)
    quarter: Tensor | None  # the same a quarter turn on, (-sin, cos)

    def first(self, tokens: int) -> Rotation:
        """Of the first `tokens` tokens only."""
        quarter = None if self.quarter is None else self.quarter[:, :tokens]
        return Rotation(self.turn[:, :tokens], quarter)


def rotation(groups: list[Axes], head_dim: int, device: torch.device | str, dtype: torch.dtype) -> Rotation:
    """The rotations of `groups`, in order.

    Angles are computed in float64 on the CPU.

    Args:
        dtype: of the queries and keys.
    """
    positions = torch.from_numpy(np.concatenate([axes.grid() for axes in groups])).double()
    angles = []
    for axis, pairs in enumerate(pair_split(head_dim)):
        frequency = ROPE_THETA ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
        angles.append(positions[:, axis : axis + 1] * frequency)
    angle = torch.cat(angles, dim=1)
    turn = torch.stack((angle.cos(), angle.sin()), dim=-1).float()[None, :, None].to(device)
    if dtype == torch.float32 or turn.device.type not in PROMOTING:
        return Rotation(turn, None)
    return Rotation(turn, torch.stack((-turn[..., 1], turn[..., 0]), dim=-1))


def rotate(x: Tensor, by: Rotation, heads: int, pieces: int = 1) -> Tensor:
    """Rotate interleaved pairs of queries or keys in float32, rounding once.

    Args:
        x: `[B, N, heads * head_dim]`, fresh: where autograd is off and `x` is float32 it is overwritten.
        by: rotations of the N tokens.
        pieces: parts of the sequence to work through; more need less memory.
    """
    pairs = x.unflatten(-1, (heads, -1, 2))
    if by.quarter is None or torch.is_grad_enabled():
        numbers, turn = torch.view_as_complex(pairs.float()), torch.view_as_complex(by.turn)
        turned = numbers * turn if torch.is_grad_enabled() else numbers.mul_(turn)
        return torch.view_as_real(turned).flatten(2).to(x.dtype)
    out = torch.empty_like(pairs)
    for part, rotated, turn, quarter in zip(
        *(tensor.tensor_split(pieces, dim=1) for tensor in (pairs, out, by.turn, by.quarter)), strict=True
    ):
        # 16-bit numbers meet float32 ones inside the kernels, so neither is copied to the other's type
        torch.addcmul(part[..., :1] * turn, part[..., 1:], quarter, out=rotated)
    return out.flatten(2)
