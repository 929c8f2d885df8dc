"""Count what a piece of PyTorch code would do on a GPU, from a run on the `meta` device.

Conventions:

- A kernel is one operation below autograd that reads or writes elements.  Views, empty allocations and casts to the
  dtype a tensor has already are none.  Attention and RMS norm are one kernel each, as on CUDA, although PyTorch would
  take them apart on `meta`; every other composite counts as its parts.
- Bytes are the elements a kernel reads and writes, weights included: an element broadcast to many is counted once, a
  slice counts what lies in it, and a result written in place is read where the operation reads it, and written.
- Peak activation is the most memory alive at once in tensors made during the run; what existed before (weights,
  constants of the clip, inputs) is not in it, nor a kernel's own workspace.
- FLOPs are two per multiply-add of matrix products, convolutions and attention (PyTorch's own formulas).
"""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
# operations that allocate or look, but move nothing
FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "lift_fresh", "alias"}
OVERWRITTEN_ONLY = {"copy_", "fill_", "zero_"}  # the in-place operations that do not read what they write
READS_BACK = {"_local_scalar_dense", "item", "is_nonzero", "equal"}


@dataclass
class Measures:
    """What a run did."""

    kernels: int = 0
    bytes_moved: int = 0
    peak_bytes: int = 0
    flops: int = 0
    read_backs: int = 0  # waits for a value of the device
    uploads: int = 0  # bytes copied from the host's memory
    by_kernel: Counter[str] = field(default_factory=Counter)
    flops_by_place: Counter[tuple[str, str]] = field(default_factory=Counter)  # place and kernel


class Tracer:
    """Count everything that happens in ``with tracer:``.

    Attributes:
        place: where in the model the run is, which whoever runs it may tell.
    """

    def __init__(self, device: str = "meta") -> None:
        self.measures = Measures()
        self._device = device
        self._live = 0
        self._known: set[int] = set()
        self._modes = (_Calls(self), _Kernels(self))
        self.place = ""

    def __enter__(self) -> Tracer:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def kernel(self, name: str, inputs: list[Tensor], outputs: list[Tensor], flops: int) -> None:
        """Add one kernel."""
        read = sum(_bytes(tensor) for tensor in inputs)
        written = sum(_bytes(tensor) for tensor in outputs)
        self.measures.kernels += 1
        self.measures.by_kernel[name] += 1
        self.measures.bytes_moved += read + written
        self.measures.flops += flops
        if flops:
            self.measures.flops_by_place[self.place, name] += flops

    def allocate(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Follow the storage of new tensors until they are freed."""
        given = {tensor.untyped_storage()._cdata for tensor in inputs}
        for tensor in outputs:
            storage = tensor.untyped_storage()
            if tensor.device.type != self._device or storage._cdata in self._known | given:
                continue
            self._known.add(storage._cdata)
            self._live += storage.nbytes()
            weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
        self.measures.peak_bytes = max(self.measures.peak_bytes, self._live)

    def _free(self, identity: int, size: int) -> None:
        self._known.discard(identity)
        self._live -= size


class _Calls(TorchFunctionMode):
    """Functions that are one kernel on CUDA, but several operations on `meta`."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.rms_norm:
            return self._rms_norm(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            if kwargs.get("attn_mask") is not None:
                raise NotImplementedError("The trace knows attention without a mask only.")
            return aten._scaled_dot_product_flash_attention(*args[:3])[0]
        return func(*args, **kwargs)

    def _rms_norm(self, x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
        out = torch.empty_like(x)
        self._tracer.kernel("rms_norm", [x] if weight is None else [x, weight], [out], 0)
        return out


class _Kernels(TorchDispatchMode):
    """Every operation that reaches the device."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        inputs, outputs = list(_tensors((args, kwargs))), list(_tensors(out))
        self._tracer.allocate(inputs, outputs)
        if name in READS_BACK:
            self._tracer.measures.read_backs += 1
        if func.is_view or name in FREE or name.startswith("_unsafe_view") or not _moves(outputs):
            return out
        self._count_uploads(inputs, outputs)
        read = _read(func, name, args, kwargs)
        self._tracer.kernel(name, read, outputs, _flops(name, args, kwargs, out))
        return out

    def _count_uploads(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        from_host = [tensor for tensor in inputs if tensor.device.type == "cpu" and tensor.ndim]
        if from_host and any(tensor.device.type == self._tracer._device for tensor in outputs):
            self._tracer.measures.uploads += sum(_bytes(tensor) for tensor in from_host)


def _flops(name: str, args: tuple, kwargs: dict, out: Any) -> int:
    """PyTorch's formula for an operation, or for the one it is the in-place form of."""
    formula = flop_registry.get(getattr(aten, name.rstrip("_"), None))
    return 0 if formula is None else formula(*args, **kwargs, out_val=out)


def _moves(outputs: list[Tensor]) -> bool:
    """Whether anything is written to new memory or into an argument."""
    return bool(outputs) and any(tensor.numel() for tensor in outputs)


def _read(func: Any, name: str, args: tuple, kwargs: dict) -> list[Tensor]:
    """Tensors the operation reads: all arguments but those only written."""
    read: list[Tensor] = []
    for index, argument in enumerate(func._schema.arguments):
        value = args[index] if index < len(args) else kwargs.get(argument.name)
        written = argument.alias_info is not None and argument.alias_info.is_write
        if written and (argument.is_out or name in OVERWRITTEN_ONLY):
            continue
        read.extend(_tensors(value))
    return read


def _tensors(value: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_iter(value) if isinstance(leaf, Tensor))


def _bytes(tensor: Tensor) -> int:
    """Bytes of the elements, each once where dimensions are expanded."""
    sizes = (size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or size == 0)
    return math.prod(sizes) * tensor.element_size()
