"""What a training step minimises: flow matching of both streams, and the router's classification."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..constants import HOI_LOSS_SHARE, ROUTER_LOSS_SHARE
from .masks import TokenMasks, router_targets, router_weights


def flow_loss(prediction: Tensor, target: Tensor, weight: float | Tensor) -> Tensor:
    """Mean squared error of a predicted flow in float32, weighted by its noise level (`noise.loss_weights`)."""
    return weight * F.mse_loss(prediction.float(), target.float())


def router_loss(logits: Sequence[Tensor], masks: TokenMasks) -> Tensor:
    """Cross-entropy of every token weighted by its class, averaged over tokens, then over blocks.

    Args:
        logits: of each block, `[B, N, 3]`.
        masks: which tokens show a face or a hand, the same for the batch.
    """
    device = logits[0].device
    classes = router_targets(masks).argmax(dim=1).to(device)
    weights = router_weights(masks).to(device)
    losses = []
    for answer in logits:
        per_token = F.cross_entropy(answer.float().transpose(1, 2), classes.expand(len(answer), -1), reduction="none")
        losses.append((per_token * weights).mean())
    return torch.stack(losses).mean()


def total_loss(diffusion: Tensor, router: Tensor | None = None, hoi: Tensor | None = None) -> Tensor:
    """The sum that is minimised; the router's share is not weighted by the noise level."""
    total = diffusion
    if router is not None:
        total = total + ROUTER_LOSS_SHARE * router
    if hoi is not None:
        total = total + HOI_LOSS_SHARE * hoi
    return total
