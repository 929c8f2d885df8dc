"""The Human-Aware Mixture-of-Experts: a router per block that sends target tokens to a hand and a face expert.

``out = base + p_hand * hand(x) + p_face * face(x)``; the router reads a detached `x`, its base probability is unused.
Both experts' second layers are one matrix product added onto the shared FFN's output, with the probabilities
multiplied into its narrow side, so nothing as wide as the model is made.
Source: paper section on the Human-Aware MoE; MOE:253, DIT:658-710.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..constants import ROUTER_CLASSES, ROUTER_FACE, ROUTER_HAND
from .parts import Device, Layer, Operations

# A bias is one more hidden unit that always is 1. It is spread over four units of a quarter, so that the inner size
# of the product stays a multiple of 8, which fast matrix products want.
BIAS_UNITS = 4
LendWeights = Callable[[nn.Module, Tensor], AbstractContextManager[tuple[Tensor, Tensor]]]


class LightExpert(nn.Module):
    """A narrow two-layer perceptron beside the shared FFN; `HumanAwareExperts` runs it."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        operations: Operations,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.fc1 = operations.Linear(dim, hidden, device=device, dtype=dtype)
        self.fc2 = operations.Linear(hidden, dim, device=device, dtype=dtype)


class HumanAwareExperts(nn.Module):
    """Router, hand expert and face expert of one block."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        operations: Operations,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.router: Layer = nn.Sequential(
            operations.Linear(dim, dim // 2, device=device, dtype=dtype),
            nn.SiLU(),
            operations.LayerNorm(dim // 2, device=device, dtype=dtype),
            operations.Linear(dim // 2, ROUTER_CLASSES, device=device, dtype=dtype),
        )
        self.hand = LightExpert(dim, hidden, operations=operations, device=device, dtype=dtype)
        self.face = LightExpert(dim, hidden, operations=operations, device=device, dtype=dtype)

    def route(self, x: Tensor) -> Tensor:
        """Router logits `[B, N, 3]` in the order base, hand, face; no gradient reaches `x`."""
        return self.router(x.detach())

    def add_to(
        self, base: Tensor, x: Tensor, probabilities: Tensor, *, weights: LendWeights, bias_units: Tensor
    ) -> Tensor:
        """Add both experts to the shared FFN's output; in place where autograd is off.

        Args:
            base: the shared FFN's output for the target tokens, `[B, N, D]`.
            x: the FFN's input, `[B, N, D]`.
            probabilities: softmax of the logits, `[B, N, 3]`, 0 where a sample takes no experts.
            weights: lends weight and bias of a layer as its own forward would use them.
            bias_units: from `make_bias_units`.
        """
        units = bias_units.expand(*x.shape[:2], -1)
        hidden = torch.cat([self.hand.fc1(x), units, self.face.fc1(x), units], dim=-1).unflatten(-1, (2, -1))
        kept = probabilities[..., ROUTER_HAND : ROUTER_FACE + 1, None]
        with weights(self.hand.fc2, x) as hand, weights(self.face.fc2, x) as face:
            columns = [part for weight, bias in (hand, face) for part in (weight, bias[:, None].expand(-1, BIAS_UNITS))]
            second = torch.cat(columns, dim=1).t().expand(len(x), -1, -1)
        if torch.is_grad_enabled():
            narrow, ones = hidden.split((hidden.shape[-1] - BIAS_UNITS, BIAS_UNITS), dim=-1)
            hidden = torch.cat([F.gelu(narrow, approximate="tanh"), ones], dim=-1) * kept
            return torch.baddbmm(base, hidden.flatten(2), second)
        torch.ops.aten.gelu_(hidden[..., :-BIAS_UNITS], approximate="tanh")
        return base.baddbmm_(hidden.mul_(kept).flatten(2), second)


def make_bias_units(like: Tensor) -> Tensor:
    """Hidden units that carry a bias, `[1, 1, BIAS_UNITS]`."""
    return torch.full((1, 1, BIAS_UNITS), 1.0 / BIAS_UNITS, device=like.device, dtype=like.dtype)
