"""Names, shapes and numbers of parameters at full size, against the reference's own list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod

from ...checkpoint.keys import EXPERTS, HOI, lora_modules, to_official, to_ours
from ...host.model.standalone import settle_device
from .golden import Check, Golden, holds
from .tiny import dit_settings

Shapes = Mapping[str, tuple[int, ...]]


def check_keys(golden: Golden) -> Iterator[Check]:
    """Build the model without memory and compare it both ways through the name map.

    A file lists `keys_backbone`, `keys_added_by_moe` and `keys_added_by_hoi` with their shapes, and `counts`.
    """
    settle_device()
    from ...host.model.skeleton import model_shapes

    backbone, moe, hoi = (_shapes(golden, f"keys_{part}") for part in ("backbone", "added_by_moe", "added_by_hoi"))
    renamed = {to_official(name): shape for name, shape in backbone.items()}
    settings, hidden = dit_settings(golden), golden.info["expert_hidden_dim"]
    whole = model_shapes(settings, expert_hidden=hidden, hoi_stream=True)
    yield from _both_ways("backbone", model_shapes(settings), backbone, experts=False)
    yield from _both_ways("backbone and experts", model_shapes(settings, expert_hidden=hidden), renamed | moe)
    yield from _both_ways("whole model", whole, renamed | moe | hoi)
    yield from _counts(golden, whole)


def _shapes(golden: Golden, name: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, shape in golden.info[name].items()}


def _both_ways(name: str, ours: Shapes, theirs: Shapes, experts: bool = True) -> Iterator[Check]:
    to_them = {to_official(key, experts): shape for key, shape in ours.items()}
    to_us = {to_ours(key): shape for key, shape in theirs.items()}
    yield holds(f"{name}: ours under their names{_difference(to_them, theirs)}", to_them == dict(theirs))
    yield holds(f"{name}: theirs under our names{_difference(to_us, ours)}", to_us == dict(ours))


def _difference(first: Shapes, second: Shapes) -> str:
    names = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    return f", {len(names)} differ, first {names[0]}" if names else ""


def _counts(golden: Golden, whole: Shapes) -> Iterator[Check]:
    """Numbers of parameters, and of LoRA layers, under the names the file gives them."""
    sizes = {name: prod(shape) for name, shape in whole.items()}
    experts = sum(size for name, size in sizes.items() if name.startswith(EXPERTS))
    routers = sum(size for name, size in sizes.items() if name.startswith(EXPERTS) and ".router." in name)
    hands = sum(size for name, size in sizes.items() if name.startswith(EXPERTS) and ".hand." in name)
    stream = sum(size for name, size in sizes.items() if name.startswith(HOI))
    total = sum(sizes.values())
    modules = lora_modules(whole)
    ours = {
        "backbone": total - experts - stream,
        "routers": routers,
        "hand_experts": hands,
        "face_experts": experts - routers - hands,
        "experts_total": experts - routers,
        "moe_total_added": experts,
        "backbone_plus_moe": total - stream,
        "hoi_branch_added": stream,
        "with_moe_and_hoi": total,
    }
    theirs = golden.info["counts"]
    for name, number in theirs.items():
        rank = re.fullmatch(r"lora_rank(\d+)_params", name)
        if rank:
            ours[name] = sum(int(rank[1]) * sum(whole[f"{module}.weight"]) for module in modules)
        if name in ours:
            yield holds(f"parameters of {name}: {ours[name]:,}, expected {number:,}", ours[name] == number)
    expected = golden.info["lora_modules_count"]
    yield holds(f"{len(modules)} LoRA layers, expected {expected}", len(modules) == expected)
