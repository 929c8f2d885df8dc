"""Keep freed memory in the process, as PyTorch does on a GPU, so that no program pays for pages the other gave back."""

from __future__ import annotations

import ctypes
import sys

# of glibc's malloc.h: the most free memory at the end of the heap, and the most blocks that are mapped by themselves
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library; whether it took it. One other than glibc is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all(mallopt(*option) for option in ((M_TRIM_THRESHOLD, NEVER), (M_MMAP_MAX, 0)))
