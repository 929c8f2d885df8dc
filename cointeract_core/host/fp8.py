"""Router and experts kept in 8 bits beside a base that is: float8 weights with one scale per layer.

Half the memory of bf16, 0.7 GB less at 14B.  Products run in the precision of their input, as for a base in scaled fp8.
The router's last layer, its norm and every bias keep their precision: they are small and decide the most.
"""

from __future__ import annotations

from typing import Any

import comfy.ops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoint.keys import EXPERTS, SCALE
from ..constants import ROUTER_CLASSES
from .compat import layer_weights

FP8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FP8).max


def quantise_experts(state: dict[str, Any]) -> dict[str, Tensor]:
    """Float8 weights and scales for the large expert layers of a state dict under our names."""
    quantised = {}
    for name, tensor in state.items():
        large = tensor.ndim == 2 and tensor.shape[0] > ROUTER_CLASSES
        if name.startswith(EXPERTS) and name.endswith(".weight") and large and tensor.dtype != FP8:
            scale = tensor.float().abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
            quantised[name] = (tensor.float() / scale).clamp(-LARGEST, LARGEST).to(FP8)
            quantised[f"{name.removesuffix('weight')}{SCALE}"] = scale
    return quantised


class ScaledExperts(comfy.ops.manual_cast):
    """Layer classes of experts in float8."""

    class Linear(comfy.ops.manual_cast.Linear):
        """A linear layer whose large weights are float8."""

        def __init__(self, into: int, out: int, *args: Any, **kwargs: Any) -> None:
            super().__init__(into, out, *args, **kwargs)
            if out > ROUTER_CLASSES:
                self.weight = nn.Parameter(torch.empty_like(self.weight, dtype=FP8), requires_grad=False)
                scale = torch.ones((), device=self.weight.device, dtype=torch.float32)
                self.scale_weight = nn.Parameter(scale, requires_grad=False)

        def forward_comfy_cast_weights(self, x: Tensor) -> Tensor:
            """The host's entry for a layer whose weights are not in its input's precision."""
            return F.linear(x, *layer_weights(self, x))
