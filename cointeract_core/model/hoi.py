"""The HOI structure stream: its own patch and type embedding, per-block modulation and head.

Only training uses it; at inference it is left out of the model.  Its tokens are modulated as timestep 0 although
their latents are noised, as the released weights expect.  Source: paper, Spatially-Structured Co-Generation;
PIPE:2274-2278, DIT:503-597.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..constants import PATCH
from .parts import Device, Embedding, Head, Layer, Operations

PATCH_SIZE = (1, PATCH, PATCH)
NORM_EPS = 1e-6


class HoiHead(nn.Module):
    """Projects HOI tokens to latents; the only place the HOI timestep enters."""

    def __init__(
        self, dim: int, channels: int, *, operations: Operations, device: Device, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.norm: Layer = operations.LayerNorm(dim, NORM_EPS, elementwise_affine=False, device=device, dtype=dtype)
        self.head: Layer = operations.Linear(dim, math.prod(PATCH_SIZE) * channels, device=device, dtype=dtype)
        self.modulation = nn.Parameter(torch.empty(1, 2, dim, device=device, dtype=dtype))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """`x` `[B, N, D]`, `embedding` the timestep embedding `[B or 1, D]`; returns `[B, N, 4 * channels]`."""
        modulation = self.modulation.to(device=x.device, dtype=x.dtype) + embedding[:, None]
        shift, scale = modulation.chunk(2, dim=1)
        return self.head(torch.addcmul(shift, self.norm(x), 1 + scale))


class HoiStream(nn.Module):
    """Parameters of the HOI stream."""

    def __init__(
        self,
        dim: int,
        channels: int,
        layers: int,
        *,
        operations: Operations,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.patch_embedding: Layer = operations.Conv3d(
            channels, dim, kernel_size=PATCH_SIZE, stride=PATCH_SIZE, device=device, dtype=dtype
        )
        self.type_embedding: Embedding = operations.Embedding(1, dim, device=device, dtype=dtype)
        self.modulation = nn.ParameterList(
            nn.Parameter(torch.empty(1, 6, dim, device=device, dtype=dtype)) for _ in range(layers)
        )
        self.head: Head = HoiHead(dim, channels, operations=operations, device=device, dtype=dtype)

    def embed(self, latents: Tensor) -> Tensor:
        """Noised HOI latents `[B, 16, F, H, W]` to tokens `[B, N, D]`."""
        tokens = self.patch_embedding(latents).flatten(2).transpose(1, 2)
        return tokens + self.type_embedding.weight.to(device=tokens.device, dtype=tokens.dtype)[None]
