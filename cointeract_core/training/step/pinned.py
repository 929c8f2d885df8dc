"""The CPU's side of a memory mode: page-locked memory, from which a GPU copies several times faster.

PyTorch rounds every page-locked allocation up to a power of two (its CachingHostAllocator), half as much again for a
14B block or for what stands between two. So a run takes whole powers of two and deals them out by itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import Tensor

LARGEST_PIECE = 1 << 31  # bytes; seven of what stands between 14B blocks fit with 1 % left over
ALIGNED = 512  # bytes, as PyTorch's own allocators


def power_of_two(size: int) -> int:
    """The smallest power of two from `size` on: what PyTorch takes for a page-locked allocation."""
    return 1 << max(size - 1, 0).bit_length()


Span = tuple[int, int]  # begin and end of a place in a piece, in bytes
Spans = list[Span]


class Lent:
    """A tensor that lies aside, and the device it came from."""

    __slots__ = ("__weakref__", "device", "tensor")

    def __init__(self, device: torch.device, tensor: Tensor) -> None:
        self.device, self.tensor = device, tensor

    def fetch(self) -> Tensor:
        """A copy on the device; this one's place may be used again before that is done with."""
        return self.tensor.to(self.device, non_blocking=True, copy=True)


class PinnedMemory:
    """Pieces of memory that is page-locked where the device is a GPU, and what of them is free.

    Whatever is put here is written and read on the device's one stream, in the order of the calls, so a place may be
    used again as soon as its last copy has been asked for.

    Args:
        device: that computes.
        allocate: makes memory of so many bytes.
    """

    def __init__(self, device: torch.device, allocate: Callable[[int], Tensor] | None = None) -> None:
        locked = device.type == "cuda"
        self._allocate = allocate or (lambda size: torch.empty(size, dtype=torch.uint8, pin_memory=locked))
        self._pieces: list[Tensor] = []
        self._free: list[Spans] = []

    @property
    def allocated(self) -> int:
        """Bytes of all pieces."""
        return sum(len(piece) for piece in self._pieces)

    def keep(self, tensor: Tensor) -> Tensor:
        """A copy that lies here for good."""
        return self._copy(tensor)[0] if tensor.nbytes else tensor

    def lend(self, tensor: Tensor) -> Lent:
        """A copy that lies here for as long as somebody holds what is given."""
        if not tensor.nbytes:  # PyTorch's checkpoint keeps such a one as well
            return Lent(tensor.device, tensor)
        copy, free, span = self._copy(tensor)
        lent = Lent(tensor.device, copy)
        weakref.finalize(lent, self._give, free, span).atexit = False
        return lent

    def _copy(self, tensor: Tensor) -> tuple[Tensor, Spans, Span]:
        size = -(-tensor.nbytes // ALIGNED) * ALIGNED
        number, start = self._take(size)
        place = self._pieces[number].data[start : start + tensor.nbytes]  # autograd is to take each for memory apart
        copy = place.view(tensor.dtype).view(tensor.shape)
        copy.copy_(tensor, non_blocking=True)
        return copy, self._free[number], (start, start + size)

    def close(self) -> None:
        """Let the pieces go; each is freed with the last copy on it."""
        self._pieces, self._free = [], []

    def _take(self, size: int) -> tuple[int, int]:
        for number, spans in enumerate(self._free):
            for index, (start, end) in enumerate(spans):
                if end - start >= size:
                    spans[index : index + 1] = [(start + size, end)] if end - start > size else []
                    return number, start
        whole = power_of_two(max(size, min(self.allocated, LARGEST_PIECE)))
        self._pieces.append(self._allocate(whole))
        self._free.append([(size, whole)] if whole > size else [])
        return len(self._pieces) - 1, 0

    @staticmethod
    def _give(spans: Spans, back: Span) -> None:
        whole: Spans = []
        for span in sorted([*spans, back]):
            if whole and whole[-1][1] == span[0]:
                whole[-1] = (whole[-1][0], span[1])
            else:
                whole.append(span)
        spans[:] = whole


class Aside(torch.autograd.graph.saved_tensors_hooks):
    """Inside, what autograd keeps waits in the CPU's memory."""

    def __init__(self, memory: PinnedMemory) -> None:
        super().__init__(memory.lend, Lent.fetch)


def give_back() -> None:
    """Return page-locked memory that nobody uses to the system: PyTorch's `empty_cache` keeps it."""
    empty: Callable[[], None] | None = getattr(torch._C, "_host_emptyCache", None)
    if empty is not None and torch.cuda.is_available():
        empty()
