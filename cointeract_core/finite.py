"""Whether a tensor is made of numbers: asked of files before they are used, and of results before they are shown."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor of any kind, also in 8 bits, holds neither NaN nor infinity."""
    if not tensor.is_floating_point():
        return True
    wide = tensor.float() if tensor.dtype.itemsize == 1 else tensor
    # a sum is one number to wait for; that of large numbers may be infinite where none of them is
    return math.isfinite(wide.sum(dtype=torch.float32).item()) or bool(torch.isfinite(wide).all())
