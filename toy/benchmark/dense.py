"""A base whose feed-forward layers have as many parameters more as experts would bring, and that is the same function.

The new rows of the first layer are random and the new columns of the second are zero, as in the experts, whose second
layers begin with zeros too. Names and sizes come from the file, so no model is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SEED = 20261129  # of the new rows
FIRST = re.compile(r"(?P<block>blocks\.\d+\.ffn\.)0\.weight")


def expert_parameters(dim: int) -> int:
    """How many parameters router and experts of one block have, as the trainer makes them."""
    from torch import nn

    from cointeract_pack.cointeract_core.constants import EXPERT_HIDDEN
    from cointeract_pack.cointeract_core.model.experts import HumanAwareExperts

    experts = HumanAwareExperts(dim, EXPERT_HIDDEN, operations=nn, device="meta")
    return sum(parameter.numel() for parameter in experts.parameters())


def more_units(dim: int) -> int:
    """Hidden units that have as many parameters: a row with its bias in the first layer, a column in the second."""
    return round(expert_parameters(dim) / (2 * dim + 1))


def widened(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a base with wider feed-forward layers.

    Raises:
        ValueError: no feed-forward layers under the host's names.
    """
    import torch

    blocks = [found["block"] for found in map(FIRST.fullmatch, state) if found]
    if not blocks:
        raise ValueError("The base has no blocks.0.ffn.0.weight, but the host's names are expected; choose another.")
    wider = dict(state)
    generator = torch.Generator().manual_seed(SEED)
    for block in sorted(blocks):
        first, bias, second = (state[block + name] for name in ("0.weight", "0.bias", "2.weight"))
        dim = first.shape[1]
        units = more_units(dim)
        rows = (torch.rand(units, dim, generator=generator) * 2 - 1) / math.sqrt(dim)
        wider[f"{block}0.weight"] = torch.cat([first, rows.to(first)])
        wider[f"{block}0.bias"] = torch.cat([bias, torch.zeros(units).to(bias)])
        wider[f"{block}2.weight"] = torch.cat([second, torch.zeros(second.shape[0], units).to(second)], dim=1)
    return wider


def write_dense(base: Path, place: Path) -> None:
    """Write the widened base unless one that is newer than the base is there."""
    from safetensors.torch import load_file

    from cointeract_pack.cointeract_core.checkpoint.save import save_tensors

    if place.is_file() and place.stat().st_mtime >= base.stat().st_mtime:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(widened(load_file(base)), place)
