"""What goes into one forward and what comes out, as typed values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .experts import LendWeights
from .layout import TokenLayout
from .modulation import Rows
from .positions import Rotation


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
    motion: Tensor | None = None  # [B, 16, M, H, W], the newest 19 count; None in the first clip
    pose: Tensor | None = None  # [B, 16, F, H, W]; None counts as zeros, as published
    face_mask: Tensor | str | None = None  # [B or 1, N] of 0/1, or "router", or None


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
    hoi_rotation: Rotation | None
    target_offset: Tensor  # what every target token gets: its pose and its type, [B or 1, N or 1, D]
    condition_tokens: Tensor | None  # person, product and motion with their type, [B or 1, M, D]
    modulation: Tensor  # learned rows of all blocks, [L, 6, D]
    clean_rows: list[Rows]  # modulation at timestep 0, per block
    hoi_rows: list[Rows] | None


@dataclass(frozen=True, slots=True)
class ClipConstants:
    """Everything a clip's forwards share: computed once per clip, then only read."""

    scene: SceneConstants
    text: list[tuple[Tensor, Tensor]]  # cross-attention K, V per block
    hoi_text: list[tuple[Tensor, Tensor]] | None
    audio: dict[int, AudioConstants]  # by block

    def of_block(self, index: int) -> BlockConstants:
        """What block `index` reads."""
        scene = self.scene
        return BlockConstants(
            layout=scene.layout,
            main_rotation=scene.main_rotation,
            hoi_rotation=scene.hoi_rotation,
            clean_rows=scene.clean_rows[index],
            hoi_rows=None if scene.hoi_rows is None else scene.hoi_rows[index],
            text=self.text[index],
            hoi_text=None if self.hoi_text is None else self.hoi_text[index],
        )


@dataclass(frozen=True, slots=True)
class BlockConstants:
    """The constants one block reads. It never learns its number, so one compiled block serves for all."""

    layout: TokenLayout
    main_rotation: Rotation
    hoi_rotation: Rotation | None
    clean_rows: Rows
    hoi_rows: Rows | None
    text: tuple[Tensor, Tensor]
    hoi_text: tuple[Tensor, Tensor] | None


@dataclass(frozen=True, slots=True)
class AudioConstants:
    """One audio injection: K, V of its five tokens per latent frame, and the shift and scale of its query norm."""

    injector: Any
    key: Tensor  # [B * F, 5, D]
    value: Tensor
    shift: Tensor  # [B * F, 1, D]
    scale: Tensor  # 1 + scale


@dataclass(frozen=True, slots=True)
class DitOutput:
    """Predictions of one forward."""

    video: Tensor  # [B, 16, F, H, W]
    hoi: Tensor | None = None  # [B, 16, F, H, W]
    router_logits: list[Tensor] = field(default_factory=list)  # per block [B, N, 3]; empty unless asked for
