"""Trained weights without what is zero, as `toy/weights` keeps them; and the command that puts a model there.

    python -m toy.packing MODEL NAME

MODEL is a base that the trainer left, NAME the file in `toy/weights`. `scripts/tiny/toy_models.py` makes of it the file
that ComfyUI reads.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).with_name("weights")
KERNEL = 5  # dimensions of a causal convolution's weight; the third is time, and the last slice is now
TIME = 2
# ComfyUI's class has twelve places where speech comes in; six blocks reach the first two
UNREACHED = re.compile(r"audio_injector\.\w+\.([2-9]|1[01])\.")


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in float16, without those that are zero or never used, and without zero time slices at the front."""
    kept = {}
    for name, tensor in state.items():
        if UNREACHED.match(name) or not tensor.any():
            continue
        first = 0
        if tensor.ndim == KERNEL:
            first = next(time for time in range(tensor.shape[TIME]) if tensor[:, :, time].any())
        half = tensor.half()
        kept[name] = half[:, :, first:].contiguous() if first else half.contiguous()
    return kept


def unpacked(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """What was packed, with zeros wherever something of `shapes` is absent; names beyond those stay as they are.

    Raises:
        ValueError: a tensor that does not fit its shape.
    """
    import torch

    whole = dict(state)
    for name, shape in shapes.items():
        tensor = torch.zeros(shape, dtype=torch.float16)
        if name in state:
            _fill(name, tensor, state[name])
        whole[name] = tensor
    return whole


def _fill(name: str, whole: Tensor, part: Tensor) -> None:
    lacking = whole.shape[TIME] - part.shape[TIME] if whole.ndim == part.ndim == KERNEL else 0
    place = whole[:, :, lacking:] if lacking > 0 else whole
    if place.shape != part.shape:
        raise ValueError(
            f"{name} is {list(part.shape)}, but ComfyUI's class has {list(whole.shape)}; pack a model of this class."
        )
    place.copy_(part)


def main(arguments: list[str]) -> int:
    """The command."""
    from safetensors.torch import load_file, save_file

    parser = argparse.ArgumentParser(prog="python -m toy.packing", description="Put a trained model into toy/weights.")
    parser.add_argument("model", type=Path, help="a base that the trainer left")
    parser.add_argument("name", help="of the file in toy/weights")
    options = parser.parse_args(arguments)
    source, target = options.model, WEIGHTS / options.name
    beside = target.with_name(f".{target.name}.part")
    save_file(packed(load_file(source)), beside, metadata={"format": "pt"})
    beside.replace(target)
    sys.stdout.write(f"{target} has {target.stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
