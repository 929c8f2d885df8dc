"""What a training step minimises: flow matching of both streams, and the router's classification."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...constants import HOI_LOSS_SHARE, ROUTER_LOSS_SHARE, ROUTER_WEIGHTS
from ..table.token_masks import TokenMasks, router_targets, router_weights


def flow_loss(prediction: Tensor, target: Tensor, weight: float | Tensor) -> Tensor:
    """Mean squared error of a predicted flow in float32, weighted by its noise level (`noise.loss_weights`)."""
    return weight * F.mse_loss(prediction.float(), target.float())


def router_loss(logits: Sequence[Tensor], masks: TokenMasks, class_weights: Sequence[float] = ROUTER_WEIGHTS) -> Tensor:
    """Cross-entropy of every token weighted by its class, averaged over tokens, then over blocks.

    Args:
        logits: of each block, `[B, N, 3]`.
        masks: which tokens show a face or a hand, the same for the batch.
        class_weights: of base, hand and face.
    """
    device = logits[0].device
    classes = router_targets(masks).argmax(dim=1).to(device)
    weights = router_weights(masks, class_weights).to(device)
    losses = []
    for answer in logits:
        per_token = F.cross_entropy(answer.float().transpose(1, 2), classes.expand(len(answer), -1), reduction="none")
        losses.append((per_token * weights).mean())
    return torch.stack(losses).mean()


def router_accuracy(logits: Sequence[Tensor], masks: TokenMasks) -> dict[int, float]:
    """Share of the tokens of each class that the router names rightly, over all blocks; classes without tokens are out.

    Args:
        logits: of each block, `[B, N, 3]`.
    """
    classes = router_targets(masks).argmax(dim=1).to(logits[0].device)
    right = torch.stack([(answer.argmax(dim=-1) == classes).float().mean(dim=0) for answer in logits]).mean(dim=0)
    present = classes.unique().tolist()
    return {number: right[classes == number].mean().item() for number in present}


def total_loss(
    diffusion: Tensor,
    router: Tensor | None = None,
    hoi: Tensor | None = None,
    *,
    router_share: float = ROUTER_LOSS_SHARE,
    hoi_share: float = HOI_LOSS_SHARE,
) -> Tensor:
    """The sum that is minimised; the router's share is not weighted by the noise level."""
    total = diffusion
    if router is not None:
        total = total + router_share * router
    if hoi is not None:
        total = total + hoi_share * hoi
    return total
