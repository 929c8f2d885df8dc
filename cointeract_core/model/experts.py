"""The Human-Aware Mixture-of-Experts: a router per block that sends target tokens to a hand and a face expert.

``out = base + p_hand * hand(x) + p_face * face(x)``; the router reads a detached `x`, its base probability is unused.
Source: paper section on the Human-Aware MoE; MOE:253, DIT:658-710.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..constants import ROUTER_CLASSES, ROUTER_FACE, ROUTER_HAND


class LightExpert(nn.Module):
    """A narrow two-layer perceptron beside the shared FFN."""

    def __init__(self, dim: int, hidden: int, *, operations: Any, **factory: Any) -> None:
        super().__init__()
        self.fc1 = operations.Linear(dim, hidden, **factory)
        self.fc2 = operations.Linear(hidden, dim, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, N, D]` to `[B, N, D]`."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class HumanAwareExperts(nn.Module):
    """Router, hand expert and face expert of one block."""

    def __init__(self, dim: int, hidden: int, *, operations: Any, **factory: Any) -> None:
        super().__init__()
        self.router = nn.Sequential(
            operations.Linear(dim, dim // 2, **factory),
            nn.SiLU(),
            operations.LayerNorm(dim // 2, **factory),
            operations.Linear(dim // 2, ROUTER_CLASSES, **factory),
        )
        self.hand = LightExpert(dim, hidden, operations=operations, **factory)
        self.face = LightExpert(dim, hidden, operations=operations, **factory)

    def route(self, x: Tensor) -> Tensor:
        """Router logits `[B, N, 3]` in the order base, hand, face; no gradient reaches `x`."""
        return self.router(x.detach())

    def add_to(self, base: Tensor, x: Tensor, probabilities: Tensor, gate: Tensor | None) -> Tensor:
        """Add both experts to the shared FFN's output.

        Args:
            base: the shared FFN's output for the target tokens, `[B, N, D]`.
            x: the FFN's input, `[B, N, D]`.
            probabilities: softmax of the logits, `[B, N, 3]`.
            gate: `[B, 1, 1]` of 0 and 1 where the samples of a batch differ, else None.
        """
        if gate is not None:
            probabilities = probabilities * gate
        hand = probabilities[..., ROUTER_HAND, None]
        face = probabilities[..., ROUTER_FACE, None]
        out = torch.addcmul(base, hand, self.hand(x))
        return torch.addcmul(out, face, self.face(x))
