"""Frozen blocks that stay in the CPU's memory: their weights come over when they are used, in either pass.

Autograd would keep the forward's copy of a weight for the backward pass.  A linear layer needs nothing but its weight
there, so it is fetched again: less is alive at once, and nothing depends on what has become of the first copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...model.experts import LendWeights
from .pinned import PinnedMemory


class StreamedBlocks:
    """Blocks whose frozen weights lie in the CPU's memory for as long as they are not used.

    Args:
        memory: where they lie.
        lend: lends weight and bias of a layer as its own forward would use them.
    """

    def __init__(self, blocks: Iterable[nn.Module], memory: PinnedMemory, lend: LendWeights) -> None:
        self._homes: list[tuple[nn.Module, str, Tensor]] = []
        self._linear: list[nn.Module] = []
        for module in (module for block in blocks for module in block.modules()):
            for name, parameter in module.named_parameters(recurse=False):
                self._homes.append((module, name, _each_tensor(parameter.detach(), memory.keep)))
                module._parameters[name] = None  # one by one, so that nothing is there twice
            if hasattr(module, "in_features") and getattr(module, "pre_quant_scale", None) is None:  # of its input
                module.forward = partial(_FrozenLinear.apply, type(module).forward.__get__(module), module, lend)
                self._linear.append(module)
        self.place()

    def place(self) -> None:
        """Back to where they lie; they never change, so nothing is copied."""
        for module, name, home in self._homes:
            module._parameters[name] = nn.Parameter(home, requires_grad=False)

    def close(self) -> None:
        """Layers as they were, but for their weights, which stay where they are."""
        for module in self._linear:
            del module.forward
        self._homes, self._linear = [], []


class _FrozenLinear(torch.autograd.Function):
    """A linear layer that nobody trains, without its weight among what autograd keeps."""

    @staticmethod
    def forward(ctx: Any, run: Callable[[Tensor], Tensor], layer: nn.Module, lend: LendWeights, x: Tensor) -> Tensor:
        ctx.layer, ctx.lend = layer, lend
        return run(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None, Tensor]:
        with ctx.lend(ctx.layer, gradient) as (weight, _):
            return None, None, None, gradient @ weight


def _each_tensor(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """A tensor with `change` made to it, or to those a quantised one consists of."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return change(tensor)
    names, rest = tensor.__tensor_flatten__()
    inner = {name: _each_tensor(getattr(tensor, name), change) for name in names}
    kind: Any = type(tensor)  # a subclass of another pack, or of PyTorch's own
    whole: Tensor = kind.__tensor_unflatten__(inner, rest, tensor.size(), tensor.stride())
    return whole
