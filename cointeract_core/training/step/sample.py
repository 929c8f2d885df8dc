"""What one row of a training table comes down to: latents, features and embeddings, ready for training steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..table.token_masks import TokenMasks


@dataclass(frozen=True, slots=True)
class PromptContexts:
    """Embeddings of a row's prompt, `[1, T, text_dim]` each, and of what stands for it where it is dropped.

    The encoder fills a text up with zeros to 512 tokens; those are left out here, and put back for the forward.

    Attributes:
        main: the prompt.
        empty: no prompt.
        hoi: the prompt of the HOI stream, behind its prefix.
        hoi_empty: the prefix alone.
        tokens: by name, how many tokens a text has with its zeros; one that is not named has none left out.
    """

    main: Tensor
    empty: Tensor
    hoi: Tensor
    hoi_empty: Tensor
    tokens: Mapping[str, int] = field(default_factory=dict)

    def length(self, name: str) -> int:
        """Tokens of a text with its zeros."""
        own: Tensor = getattr(self, name)
        return self.tokens.get(name, own.shape[1])

    def whole(self, name: str) -> Tensor:
        """A text with its zeros."""
        return with_zeros(getattr(self, name), self.length(name))


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
        audio: speech features `[1, 25, audio_dim, 4 F]` at 25 frames a second.
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


def without_zeros(text: Tensor) -> Tensor:
    """A text `[B, T, D]` up to its last token that is not zero."""
    words = text.ne(0).any(dim=-1).any(dim=0).nonzero()
    return text[:, : int(words[-1]) + 1 if len(words) else 1].clone()


def with_zeros(text: Tensor, tokens: int) -> Tensor:
    """A text `[B, T, D]` filled up with zeros to so many tokens."""
    if text.shape[1] == tokens:
        return text
    shape = (len(text), tokens, text.shape[2])
    if text.device.type == "cpu" and text.dtype == torch.float32:
        whole = torch.from_numpy(np.zeros(shape, np.float32))  # of memory that nobody writes to, the system makes none
    else:
        whole = text.new_zeros(shape)
    whole[:, : text.shape[1]] = text
    return whole
