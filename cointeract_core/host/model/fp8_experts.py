"""Router and experts kept in 8 bits beside a base that is: float8 weights with one scale per layer.

Half the memory of bf16, 0.7 GB less at 14B.  Products run in the precision of their input, as for a base in scaled fp8.
The router's last layer, its norm and every bias keep their precision: they are small and decide the most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import comfy.ops
import torch
import torch.nn.functional as F
from comfy.float import stochastic_rounding
from comfy.model_patcher import LowVramPatch
from torch import Tensor, nn

from ...checkpoint.keys import EXPERTS, SCALE
from ...constants import ROUTER_CLASSES
from ..forms import LayerWeights

FP8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FP8).max
WeightPatch: TypeAlias = Callable[[Tensor], Tensor]


def quantise_experts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float8 weights and scales for the large expert layers of a state dict under our names."""
    quantised = {}
    for name, tensor in state.items():
        large = tensor.ndim == 2 and tensor.shape[0] > ROUTER_CLASSES
        if name.startswith(EXPERTS) and name.endswith(".weight") and large and tensor.dtype != FP8:
            scale = tensor.float().abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
            quantised[name] = (tensor.float() / scale).clamp(-LARGEST, LARGEST).to(FP8)
            quantised[f"{name.removesuffix('weight')}{SCALE}"] = scale
    return quantised


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def patches_convert() -> bool:
    """Whether the host's patch of a weight that is not kept in video memory asks the layer for its true numbers.

    Older ones do so by `convert_weight`, newer ones no longer; tried with a patch that does nothing.
    """
    asked = []

    def convert(weight: Tensor, **_how: object) -> Tensor:
        asked.append(True)
        return weight

    LowVramPatch("weight", {"weight": []}, convert, None)(torch.zeros(1))
    return bool(asked)


class TruePatch:
    """A patch of the host's that is given a layer's true numbers, where it would be given those without their scale."""

    def __init__(self, patch: WeightPatch, layer: nn.Module) -> None:
        self._patch, self._layer = patch, layer

    def __call__(self, weight: Tensor) -> Tensor:
        scale: Tensor = getattr(self._layer, SCALE).to(weight.device)
        return (self._patch(weight.float() * scale) / scale).to(weight.dtype)

    def __getattr__(self, name: str) -> object:
        return getattr(self._patch, name)


class Patches(list[WeightPatch]):
    """A layer's list of patches, each of which is given true numbers."""

    def __init__(self, patches: Iterable[WeightPatch], layer: nn.Module) -> None:
        super().__init__(_true_patch(patch, layer) for patch in patches)
        self._layer = layer

    def append(self, patch: WeightPatch) -> None:
        """As a list's."""
        list.append(self, _true_patch(patch, self._layer))


def _true_patch(patch: WeightPatch, layer: nn.Module) -> WeightPatch:
    """`patch`, or one around it; other functions than the host's patches of LoRA take what they always took."""
    plain = isinstance(patch, LowVramPatch) and not patches_convert() and hasattr(layer, SCALE)
    return TruePatch(patch, layer) if plain else patch


class ScaledExperts(comfy.ops.manual_cast):
    """Layer classes of experts in float8."""

    class Linear(comfy.ops.manual_cast.Linear):
        """A linear layer whose large weights are float8."""

        weight: nn.Parameter
        bias: nn.Parameter

        def __init__(self, into: int, out: int, *args: Any, **kwargs: Any) -> None:
            self.__dict__["own_functions"] = Patches((), self)
            super().__init__(into, out, *args, **kwargs)
            device, dtype = kwargs.get("device"), kwargs.get("dtype")
            large = out > ROUTER_CLASSES
            # by size: newer ComfyUI makes a layer's tensors only when they are loaded
            if large or self.weight is None:
                self.weight = _frozen(torch.empty(out, into, device=device, dtype=FP8 if large else dtype))
            if self.bias is None:
                self.bias = _frozen(torch.empty(out, device=device, dtype=dtype))
            if large:
                self.register_parameter(SCALE, _frozen(torch.ones((), device=device, dtype=torch.float32)))

        @property
        def weight_function(self) -> Patches:
            """The host's list of what is done to the weight once it is cast."""
            own: Patches = self.__dict__["own_functions"]
            return own

        @weight_function.setter
        def weight_function(self, functions: Iterable[WeightPatch]) -> None:
            self.__dict__["own_functions"] = Patches(functions, self)

        @property
        def weight_lowvram_function(self) -> WeightPatch | None:
            """The host's patch of a weight that it pages."""
            own: WeightPatch | None = self.__dict__.get("own_paged_patch")
            return own

        @weight_lowvram_function.setter
        def weight_lowvram_function(self, patch: WeightPatch) -> None:
            self.__dict__["own_paged_patch"] = _true_patch(patch, self)

        def convert_weight(self, weight: Tensor, inplace: bool = False, **_how: object) -> Tensor:
            """The host's question for true numbers, before it adds a LoRA or merges models."""
            scale = getattr(self, SCALE, None)
            if scale is None:
                return weight
            scale = scale.to(weight.device)
            return weight.mul_(scale.to(weight.dtype)) if inplace else weight.float() * scale

        def set_weight(
            self,
            weight: Tensor,
            inplace_update: bool = False,
            seed: int | None = None,
            return_weight: bool = False,
            **_how: object,
        ) -> Tensor | None:
            """The host's way to put numbers in: in the layer's own precision, without its scale."""
            scale = getattr(self, SCALE, None)
            if scale is not None:
                weight = weight / scale.to(weight.device, weight.dtype)
            weight = stochastic_rounding(weight, self.weight.dtype, seed=seed or 0)
            if return_weight:
                return weight
            if inplace_update:
                self.weight.data.copy_(weight)
            else:
                self.weight = _frozen(weight)
            return None

        # PyTorch's own: a newer host's reads weight and bias alone, and leaves them unmade until then
        _load_from_state_dict = nn.Module._load_from_state_dict

        def forward_comfy_cast_weights(self, x: Tensor) -> Tensor:
            """The host's entry for a layer whose weights are not in its input's precision."""
            with LayerWeights(self, x) as (weight, bias):
                return F.linear(x, weight, bias)
