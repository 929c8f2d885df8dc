"""LoRA beside a frozen model: ``y = layer(x) + alpha / rank * up(down(x))``, added by forward hooks.

The layers' own weights are never touched, so a base may be in bf16, in fp8 or quantised by another pack.  The two small
matrices are kept in float32 and used in the precision of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...checkpoint.keys import ALPHA, DOWN, UP, LoraName, parse_lora
from ...errors import InputError, ModelFileError
from ..settings.targets import TARGETS
from .transformer import Transformer

SEPARATOR = "/"  # torch does not allow dots in names of modules


class _Linear(Protocol):
    """A linear layer, of whatever pack and precision."""

    in_features: int
    out_features: int


class LoraLayer(nn.Module):
    """The two matrices beside one linear layer: `down` `[rank, in]` and `up` `[out, rank]`, float32."""

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """What is added to the layer's output for its input `[..., in]`."""
        down, up = (matrix.to(x.device, x.dtype) for matrix in (self.down, self.up))
        return F.linear(F.linear(x, down), up) * self.scale


class LoraSet(nn.Module):
    """LoRA for many layers of a model.

    Args:
        sizes: inputs and outputs of each layer, by its name in the model.
        rank: of all of them.
        alpha: divided by the rank, what they are multiplied by.
        generator: of the starting values; `up` starts at zero, so that nothing changes before the first step.
    """

    def __init__(
        self, sizes: Mapping[str, tuple[int, int]], rank: int, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.rank, self.alpha = rank, alpha
        self.layers = nn.ModuleDict()
        for name, (inputs, outputs) in sizes.items():
            layer = LoraLayer(inputs, outputs, rank, alpha / rank)
            # as torch starts a linear layer of this width
            nn.init.kaiming_uniform_(layer.down, a=math.sqrt(5), generator=generator)
            self.layers[name.replace(".", SEPARATOR)] = layer

    def named_layers(self) -> Iterator[tuple[str, LoraLayer]]:
        """Each layer's name in the model, and its LoRA."""
        for name, layer in self.layers.items():
            yield name.replace(SEPARATOR, "."), cast("LoraLayer", layer)  # PyTorch knows them as modules

    def named_tensors(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters under the names the host's LoRA loader reads."""
        for name, layer in self.named_layers():
            yield LoraName(name, DOWN).host, layer.down
            yield LoraName(name, UP).host, layer.up

    @contextmanager
    def attached(self, dit: Transformer) -> Iterator[None]:
        """Add them to the transformer's layers for as long as the context lasts."""
        handles = [dit.get_submodule(name).register_forward_hook(_adding(layer)) for name, layer in self.named_layers()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def load(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Continue from the LoRA of a file.

        Args:
            tensors: under names in any accepted form; a file's own alpha is kept in its values.
            what: the file, for errors.

        Raises:
            ModelFileError: another rank.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            lora = parse_lora(name)
            if lora is not None:
                parts.setdefault(lora.module, {})[lora.part] = tensor
        for name, layer in self.named_layers():
            found = parts.get(name)
            if found is None:
                continue
            rank = found[DOWN].shape[0]
            if rank != self.rank:
                raise ModelFileError(
                    f"{what} has LoRA of rank {rank}, but rank is {self.rank}; set rank to {rank} to continue from it."
                )
            own_scale = float(found[ALPHA]) / rank if ALPHA in found else 1.0
            with torch.no_grad():
                layer.down.copy_(found[DOWN])
                layer.up.copy_(found[UP].float() * (own_scale / layer.scale))


def choose_layers(dit: Transformer, targets: Sequence[str], also: Sequence[str] = ()) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of the layers LoRA is put on.

    Args:
        targets: names from `TARGETS`.
        also: further layers, those of an adapter that is continued.

    Raises:
        InputError: a target this model has no layer of.
    """
    layers = {name: cast("_Linear", module) for name, module in dit.named_modules() if hasattr(module, "in_features")}
    chosen: list[str] = []
    for target in targets:
        fitting = [name for name in layers if TARGETS[target].fullmatch(name)]
        if not fitting:
            raise InputError(f"targets holds {target}, but this model has no such layers; leave it out.")
        chosen += fitting
    chosen += [name for name in also if name in layers]
    return {name: (layers[name].in_features, layers[name].out_features) for name in chosen}


def is_target(name: str, targets: Sequence[str]) -> bool:
    """Whether a layer belongs to one of the targets."""
    return any(TARGETS[target].fullmatch(name) for target in targets)


def _adding(layer: LoraLayer) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        added: Tensor = layer(inputs[0])
        return output + added

    return hook
