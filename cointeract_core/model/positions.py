"""Integer rotary positions of every token group, and the one shared cos/sin table.

The released weights expect positions cut to integers, and HOI tokens at widths ``1024-w … 1023`` (the reference
indexes its 1024-row table with negative numbers).  Source: DIT:104-131, 1048-1050, 1183-1191.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..constants import (
    MOTION_TIMES_1X,
    MOTION_TIMES_2X,
    MOTION_TIMES_4X,
    PERSON_TIME,
    PRODUCT_TIME,
    ROPE_TABLE_ROWS,
    ROPE_THETA,
)


@dataclass(frozen=True, slots=True)
class Axes:
    """Rows along time, height and width of one token group; its tokens are their product, time slowest."""

    t: np.ndarray
    h: np.ndarray
    w: np.ndarray

    @property
    def tokens(self) -> int:
        """Number of tokens in the group."""
        return len(self.t) * len(self.h) * len(self.w)

    def grid(self) -> np.ndarray:
        """Positions of every token, `[N, 3]` integers."""
        mesh = np.meshgrid(self.t, self.h, self.w, indexing="ij")
        return np.stack([axis.reshape(-1) for axis in mesh], axis=1)


def spread(rows: int, tokens: int) -> np.ndarray:
    """Rows ``0 … rows-1`` spread evenly over `tokens` tokens and truncated to integers (float64, as published)."""
    return np.linspace(0, rows - 1, tokens).astype(np.int64)


def target_axes(frames: int, height: int, width: int) -> Axes:
    """The noisy target: `frames` latents on the full token grid."""
    return Axes(np.arange(frames), np.arange(height), np.arange(width))


def person_axes(height: int, width: int) -> Axes:
    """The person reference, one latent frame at time 30."""
    return Axes(np.array([PERSON_TIME]), np.arange(height), np.arange(width))


def product_axes(height: int, width: int, scale: float) -> Axes:
    """The product reference at time 31; `scale` below 1 packs its tokens into fewer rows."""
    rows_h, rows_w = (max(1, round(n * scale)) for n in (height, width))
    return Axes(np.array([PRODUCT_TIME]), spread(rows_h, height), spread(rows_w, width))


def motion_axes(latent_height: int, latent_width: int) -> tuple[Axes, Axes, Axes]:
    """The three motion groups: newest latent in full, the next two and the oldest sixteen on coarser grids.

    Args:
        latent_height, latent_width: size in latent cells; at least 8, not necessarily a multiple of 8.
    """
    h, w = latent_height // 2, latent_width // 2
    fine = Axes(np.array(MOTION_TIMES_1X), np.arange(h), np.arange(w))
    middle = Axes(np.array(MOTION_TIMES_2X), spread(h, latent_height // 4), spread(w, latent_width // 4))
    coarse = Axes(np.array(MOTION_TIMES_4X), spread(h, latent_height // 8), spread(w, latent_width // 8))
    return fine, middle, coarse


def hoi_axes(frames: int, height: int, width: int) -> Axes:
    """The HOI stream: times and heights of the target, widths from the end of the published table."""
    return Axes(np.arange(frames), np.arange(height), np.arange(ROPE_TABLE_ROWS - width, ROPE_TABLE_ROWS))


def pair_split(head_dim: int) -> tuple[int, int, int]:
    """How many of the head's rotation pairs go to time, height and width (22/21/21 for a head of 128)."""
    pairs = head_dim // 2
    third = pairs // 3
    return pairs - 2 * third, third, third


def rotation_table(groups: list[Axes], head_dim: int, device: torch.device | str) -> Tensor:
    """Cosine and sine of every token and pair, shared by all heads and blocks.

    Angles are computed in float64 on the CPU and stored as float32: 4 bytes x head_dim per token.

    Returns:
        `[1, N, 1, head_dim / 2, 2]`, the last axis (cos, sin).
    """
    positions = torch.from_numpy(np.concatenate([axes.grid() for axes in groups])).double()
    angles = []
    for axis, pairs in enumerate(pair_split(head_dim)):
        frequency = ROPE_THETA ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
        angles.append(positions[:, axis : axis + 1] * frequency)
    angle = torch.cat(angles, dim=1)
    table = torch.stack((angle.cos(), angle.sin()), dim=-1).float()
    return table[None, :, None].to(device)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate interleaved pairs of queries or keys in float32.

    Args:
        x: `[B, N, heads, head_dim]`.
        table: `[1, N, 1, head_dim / 2, 2]` from `rotation_table`.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    turn = torch.view_as_complex(table)
    # out of place only where autograd needs it: the product is as large as q itself in float32
    turned = pairs * turn if pairs.requires_grad else pairs.mul_(turn)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)
