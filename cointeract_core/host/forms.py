"""What differs from one ComfyUI to the next, asked of the one at hand by what it can do, never by its version.

`contract.py` lists which version has which form.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import comfy.ldm.modules.attention
import comfy.model_management
import comfy.ops
import comfy.sd
import torch
import torch.nn.functional as F
from comfy.cli_args import args
from torch import Tensor

from ..checkpoint.keys import SCALE
from ..model.parts import Operations
from .objects import Patcher

# tensors of a mixed-precision file, where the host knows them; it may hand them over as they are
QUANTISED: tuple[type[Tensor], ...] = tuple(filter(None, [getattr(comfy.ops, "QuantizedTensor", None)]))


def extras_operations(operations: Operations | None) -> Operations:
    """Layer classes for our extras.

    The host's fp8 layers round whatever they hold, so beside a backbone of the host's own making the extras use
    `manual_cast` and stay bit-exact; layers a third party supplied (GGUF) are used as they are.
    """
    if getattr(operations, "__module__", "").startswith("comfy.") or operations is None:
        plain: Operations = comfy.ops.manual_cast
        return plain
    return operations


class LayerWeights:
    """Weight and bias of a layer as its own forward would use them: on the input's device, in its dtype, patched.

    They are the host's, lent for as long as the context lasts: where it pages weights, their place is free after it.

    Args:
        layer: one of the host's, or of a third party's that quantises its own.
        like: the input.
    """

    def __init__(self, layer: torch.nn.Module, like: Tensor) -> None:
        self._layer, self._like = layer, like
        self._lent: tuple[Any, ...] | None = None

    def __enter__(self) -> tuple[Tensor, Tensor]:
        layer, like = self._layer, self._like
        own = getattr(layer, "cast_bias_weight", None)  # of layers that hold quantised tensors (ComfyUI-GGUF)
        if own is not None:
            lent: tuple[Tensor, Tensor] = own(like)
            return lent
        self._lent = comfy.ops.cast_bias_weight(layer, like, offloadable=True)
        weight, bias = self._lent[:2]
        scale = getattr(layer, SCALE, None)  # of float8 layers
        if scale is not None:  # in float32: in 16 bits the scale of small weights would be rounded, or vanish
            return (weight.float() * scale).to(like.dtype), bias
        scale = getattr(layer, "scale_weight", None)  # of older hosts' float8 layers, rounded as they round it
        if scale is not None:
            return weight * scale.to(weight), bias
        return (weight.dequantize().to(like.dtype) if isinstance(weight, QUANTISED) else weight), bias

    def __exit__(self, *_error: object) -> None:
        lent, self._lent = self._lent, None
        if lent is not None:
            comfy.ops.uncast_bias_weight(self._layer, *lent)


def attention_with_gradient(q: Tensor, k: Tensor, v: Tensor, heads: int, **_wishes: object) -> Tensor:
    """Attention on `[B, N, heads * head_dim]` that gradients go through: PyTorch's, whatever else was chosen.

    Faster kernels fill a tensor that autograd knows nothing of (Sage, int8) or have no way back (Flash, xformers in
    some builds), so neither the choice the host was started with nor a wish in the options or in the file counts here:
    `transformer_options` and `preferred_attention` are taken and left aside.
    """
    own = getattr(comfy.ldm.modules.attention, "attention_pytorch", None)
    if own is not None:
        out: Tensor = own(q, k, v, heads)
        return out
    q, k, v = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def load_state_dict_as_model(
    state: dict[str, Tensor],
    options: dict[str, object],
    metadata: dict[str, str] | None,
    *,
    disable_dynamic: bool = False,
) -> Patcher | None:
    """The host's loader of diffusion models; None where it does not know the model.

    Args:
        metadata: of the file, where newer hosts keep how its layers are quantised; older ones do not ask for it.
        disable_dynamic: have the weights loaded once, where the host would page them by itself.
    """
    more = {"metadata": metadata, "disable_dynamic": disable_dynamic}
    load = comfy.sd.load_diffusion_model_state_dict
    known = inspect.signature(load).parameters
    understood = {name: value for name, value in more.items() if name in known}
    patcher: Patcher | None = load(state, model_options=options, **understood)
    return patcher


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory has run out; newer PyTorch has more than one class for that."""
    ask = getattr(comfy.model_management, "is_oom", None)
    return isinstance(error, comfy.model_management.OOM_EXCEPTION) if ask is None else bool(ask(error))


@contextmanager
def without_fast_products() -> Iterator[None]:
    """Models that load inside get layers whose products have a gradient, also where the host was started ``--fast``."""
    chosen = args.fast
    args.fast = set()
    try:
        yield
    finally:
        args.fast = chosen


def cuda_device(device: torch.device) -> AbstractContextManager[object]:
    """Work on a device other than the process's current one, as newer hosts allow for a VAE."""
    own = getattr(comfy.model_management, "cuda_device_context", None)
    return nullcontext() if own is None else own(device)


def set_reload(patcher: Patcher, load: Callable[..., Patcher], *arguments: object) -> None:
    """Tell the host how to load a model again: it does so for nodes that need weights of their own.

    Args:
        load: called with `arguments` and, where the host wants it so, `disable_dynamic`; gives a patcher.
    """
    if hasattr(patcher, "cached_patcher_init"):  # older hosts never load again
        patcher.cached_patcher_init = (load, arguments)
