"""What one row of a training table comes down to: latents, features and embeddings, ready for training steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..table.token_masks import TokenMasks


@dataclass(frozen=True, slots=True)
class PromptContexts:
    """Embeddings of a row's prompt, `[1, T, text_dim]` each, and of what stands for it where it is dropped.

    Attributes:
        main: the prompt.
        empty: no prompt.
        hoi: the prompt of the HOI stream, behind its prefix.
        hoi_empty: the prefix alone.
    """

    main: Tensor
    empty: Tensor
    hoi: Tensor
    hoi_empty: Tensor


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One row, encoded. Latents are as the VAE gives them: F of the target, in h rows and w columns of cells.

    Attributes:
        joint: `[1, 16, 19 + F, h, w]`, motion frames and target encoded together; None without motion frames.
        alone: `[1, 16, F, h, w]`, the target encoded behind the person's picture, whose own latent is dropped.
        person: `[1, 16, 1, h, w]`.
        product: `[1, 16, 1, h, w]`, or None.
        hoi: HOI stream `[1, 16, F, h, w]`, or None.
        pose: `[1, 16, F, h, w]`, or None.
        audio: speech features `[1, 25, D, 4 F]` at 25 frames a second.
        token_masks: None where the row has no boxes.
        product_scale: of the product's positions.
    """

    joint: Tensor | None
    alone: Tensor
    person: Tensor
    product: Tensor | None
    hoi: Tensor | None
    pose: Tensor | None
    audio: Tensor
    prompts: PromptContexts
    token_masks: TokenMasks | None
    product_scale: float = 1.0
