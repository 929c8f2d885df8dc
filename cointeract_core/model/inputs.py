"""What goes into one forward and what comes out, as typed values.

In shapes, B are samples, F target latents of H x W cells, T tokens of a text, N and M tokens of the model and D its
width, L its blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from .experts import HumanAwareExperts, LendWeights
from .hoi import HoiStream
from .layout import TokenLayout
from .modulation import Modulation
from .parts import S2V, Attention, Listed
from .positions import Rotation


class Dit(S2V, Protocol):
    """The host's S2V module with our extras."""

    experts: Listed[HumanAwareExperts] | None
    hoi: HoiStream | None


@dataclass(frozen=True, slots=True)
class HoiInputs:
    """The HOI stream of a training step."""

    latents: Tensor  # [B, 16, F, H, W], noised
    context: Tensor | None = None  # [B, T, text_dim] its own prompt; the main prompt if absent
    timestep: Tensor | None = None  # [B] for its head; the RGB timestep if absent
    mutual: bool = False  # True: RGB tokens see HOI tokens too (stage 1); False: asymmetric (stage 2, default)


@dataclass(frozen=True, slots=True)
class ClipInputs:
    """Conditions of one clip, constant over its steps."""

    context: Tensor  # [B, T, text_dim]
    audio: Tensor | None = None  # [B, 25, audio_dim, >= 4F] features at 25 fps
    person: Tensor | None = None  # [B, 16, 1, H, W]
    product: Tensor | None = None  # [B, 16, 1, H, W]
    product_scale: float = 1.0  # of the product's rotary positions
    motion: Tensor | None = None  # [B, 16, any, H, W], the newest 19 count; None in the first clip
    pose: Tensor | None = None  # [B, 16, F, H, W]; None counts as zeros, as published
    face_mask: Tensor | str | None = None  # [B or 1, target tokens] of 0/1, or "router", or None


@dataclass(frozen=True, slots=True)
class Kernels:
    """Host functions the pure forward needs."""

    attention: Callable[..., Tensor]  # (q, k, v, heads=, transformer_options=) on [B, N, heads * head_dim]
    weights: LendWeights  # (layer, input): lends weight and bias as the layer's own forward uses them
    before_block: Callable[[], None]  # raises where the user has asked to stop


@dataclass(frozen=True, slots=True)
class SceneConstants:
    """What a clip's forwards share whatever their prompt and speech: the same for both passes of guidance."""

    layout: TokenLayout
    main_rotation: Rotation
    target_offset: Tensor  # what every target token gets: its pose and its type, [B or 1, N or 1, D]
    condition_tokens: Tensor | None  # person, product and motion with their type, [B or 1, M, D]
    modulation: Tensor  # as learned, of all blocks, [L, 6, D]
    clean: list[Modulation]  # at timestep 0, per block


@dataclass(frozen=True, slots=True)
class HoiConstants:
    """What the HOI stream adds to a clip's constants."""

    rotation: Rotation
    modulation: list[Modulation]  # its own at timestep 0, per block
    text: list[tuple[Tensor, Tensor]]  # cross-attention K, V per block

    def of_block(self, index: int) -> HoiBlockConstants:
        """What block `index` reads."""
        return HoiBlockConstants(self.rotation, self.modulation[index], self.text[index])


@dataclass(frozen=True, slots=True)
class ClipConstants:
    """Everything a clip's forwards share: computed once per clip, then only read."""

    scene: SceneConstants
    text: list[tuple[Tensor, Tensor]]  # cross-attention K, V per block
    audio: dict[int, AudioConstants]  # by block
    hoi: HoiConstants | None = None

    def of_block(self, index: int) -> BlockConstants:
        """What block `index` reads."""
        scene = self.scene
        return BlockConstants(
            layout=scene.layout,
            main_rotation=scene.main_rotation,
            clean=scene.clean[index],
            text=self.text[index],
            hoi=None if self.hoi is None else self.hoi.of_block(index),
        )


@dataclass(frozen=True, slots=True)
class BlockConstants:
    """The constants one block reads. It never learns its number, so one compiled block serves for all."""

    layout: TokenLayout
    main_rotation: Rotation
    clean: Modulation
    text: tuple[Tensor, Tensor]
    hoi: HoiBlockConstants | None


@dataclass(frozen=True, slots=True)
class HoiBlockConstants:
    """The same for the HOI tokens."""

    rotation: Rotation
    modulation: Modulation
    text: tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class AudioConstants:
    """One audio injection: K, V of its five tokens per latent, and the shift and scale of its query norm."""

    injector: Attention
    key: Tensor  # [B * F, 5, D]
    value: Tensor
    shift: Tensor  # [B * F, 1, D]
    scale: Tensor  # 1 + scale


@dataclass(frozen=True, slots=True)
class DitOutput:
    """Predictions of one forward."""

    video: Tensor  # [B, 16, F, H, W]
    hoi: Tensor | None = None  # [B, 16, F, H, W]
    router_logits: list[Tensor] = field(default_factory=list)  # per block [B, target tokens, 3]; empty unless asked for
