"""What the model needs of ComfyUI's modules, for readers and type checkers.

Nothing is compared with these while the pack runs.  To PyTorch's types an attribute of a module is a tensor or a module
and no more; here stands what it is, as far as it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

Options: TypeAlias = dict[str, Any]  # ComfyUI's transformer_options, into which every pack may put things
Patch: TypeAlias = Callable[[Options], Any]  # of another pack: tokens, or a dictionary that holds them
Device: TypeAlias = torch.device | str | None

T_co = TypeVar("T_co", covariant=True)


class Listed(Protocol[T_co]):
    """`torch.nn.ModuleList` of modules of one kind."""

    def __len__(self) -> int:
        """How many."""

    def __iter__(self) -> Iterator[T_co]:
        """One after the other."""

    def __getitem__(self, index: int, /) -> T_co:
        """One of them."""


class Operations(Protocol):
    """`comfy.ops.manual_cast`, or a third party's: classes of layers."""

    Linear: type[nn.Linear]
    LayerNorm: type[nn.LayerNorm]
    Conv3d: type[nn.Conv3d]
    Embedding: type[nn.Embedding]


class Layer(Protocol):
    """`comfy.ops` Linear, Conv3d or RMSNorm, or `torch.nn.Sequential` of some."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """One tensor from one."""


class Norm(Protocol):
    """`comfy.ops` LayerNorm without weights of its own; `modulation.py` does its work."""

    eps: float


class Convolution(Layer, Protocol):
    """`comfy.ops` Conv3d whose input has to be made for it."""

    in_channels: int


class Embedding(Protocol):
    """`comfy.ops` Embedding, whose rows are read as they are."""

    weight: Tensor


class Attention(Protocol):
    """`comfy.ldm.wan.model.WanSelfAttention` and `WanT2VCrossAttention`: their layers."""

    num_heads: int
    q: Layer
    k: Layer
    v: Layer
    o: Layer
    norm_q: Layer
    norm_k: Layer


class FeedForward(Protocol):
    """`torch.nn.Sequential` of a block, or the module newer hosts have: widen, GELU, narrow."""

    def __getitem__(self, index: int, /) -> Layer:
        """One of the three."""


class BlockParts(Protocol):
    """`comfy.ldm.wan.model.WanAttentionBlock`: its sub-modules."""

    norm1: Norm
    self_attn: Attention
    norm3: Layer
    cross_attn: Attention
    norm2: Norm
    ffn: FeedForward
    modulation: Tensor  # [1, 6, D]


class Head(Protocol):
    """`comfy.ldm.wan.model.Head`."""

    def __call__(self, x: Tensor, e: Tensor, /) -> Tensor:
        """Tokens `[B, N, D]` and the timestep's embedding `[B or 1, D]` to `[B, N, 4 * channels]`."""


class AudioEncoder(Protocol):
    """`comfy.ldm.wan.model.CausalAudioEncoder`."""

    def __call__(self, features: Tensor, /) -> tuple[Tensor, Tensor]:
        """Features `[B, 25, audio_dim, frames]` to global tokens `[B, F, 1, D]` and local ones `[B, F, 5, D]`."""


class AdaptiveNorm(Protocol):
    """`comfy.ldm.wan.model.AdaLayerNorm`: what makes its shift and scale."""

    linear: Layer


class AudioInjector(Protocol):
    """`comfy.ldm.wan.model.AudioInjector_WAN`: an attention and an adaptive norm for each block it serves."""

    injected_block_id: dict[int, int]  # a block's number to its place in the lists
    injector: Listed[Attention]
    injector_adain_layers: Listed[AdaptiveNorm]


class FramePacker(Protocol):
    """`comfy.ldm.wan.model.FramePackMotioner`: its three convolutions over motion latents."""

    proj: Layer
    proj_2x: Layer
    proj_4x: Layer


class S2V(Protocol):
    """`comfy.ldm.wan.model.WanModel_S2V`: its sub-modules."""

    dim: int
    freq_dim: int
    num_heads: int
    patch_size: tuple[int, int, int]
    patch_embedding: Layer
    cond_encoder: Convolution
    text_embedding: Layer
    time_embedding: Layer
    time_projection: Layer
    trainable_cond_mask: Embedding
    casual_audio_encoder: AudioEncoder
    audio_injector: AudioInjector
    frame_packer: FramePacker
    blocks: Listed[BlockParts]
    head: Head

    def unpatchify(self, x: Tensor, grid_sizes: tuple[int, int, int], /) -> Tensor:
        """Tokens `[B, N, 4 * channels]` to latents; the grid is latents, rows and columns of tokens."""
