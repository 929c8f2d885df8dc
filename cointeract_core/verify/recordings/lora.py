"""A checkpoint of the authors' trainer laid over a base by our loader, against their merged weights."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from ...checkpoint.header import Header, TensorInfo
from ...checkpoint.keys import EXPERTS, lora_to_official, to_official, to_ours
from ...checkpoint.merge import plan_adapter, take
from ...host.model.standalone import plain_patcher, settle_device
from .golden import Check, Golden, compare, found_in, holds, same
from .tiny import dit_settings

MERGED = re.compile(r"^(\d+(?:\.\d+)?)\.(\D.*)$")  # after out.alpha: the strength, the authors' name


def check_lora(golden: Golden) -> Iterator[Check]:
    """Merge at every strength the file holds; its tensors are `lora.*`, `w.*` and `out.alpha<strength>.*`."""
    settle_device()
    from ...host.model.skeleton import model_shapes

    adapter = golden.group("lora.")
    header = _header(adapter)
    hidden = golden.info.get("expert_hidden_dim", 0)
    whole = model_shapes(dit_settings(golden), expert_hidden=hidden, hoi_stream=True)
    plan = plan_adapter("lora", header, whole)
    placed = {**plan.lora, **plan.experts, **plan.hoi}
    yield holds(f"{len(placed)} of {len(adapter)} tensors found their place", placed.keys() == adapter.keys())
    back = [lora_to_official(name) if name in plan.lora.values() else to_official(name) for name in placed.values()]
    yield holds("their names come back", sorted(back) == sorted(adapter))

    lora, extras = take(adapter, plan.lora), take(adapter, plan.experts)
    base = {to_ours(name): value.float() for name, value in golden.group("w.").items()}
    for strength, theirs in _merged(golden).items():
        ours = _merge(golden, base, lora, extras, float(strength))
        for name, tensor in theirs.items():
            # experts are copied, so they are equal to the bit
            check = same if to_ours(name).startswith(EXPERTS) else compare
            yield check(f"strength {strength}: {name}", ours[to_ours(name)], tensor)


def _header(tensors: dict[str, Tensor]) -> Header:
    return {name: TensorInfo(tuple(tensor.shape)) for name, tensor in tensors.items()}


def _merged(golden: Golden) -> dict[str, dict[str, Tensor]]:
    """Merged weights by strength, under the authors' names."""
    out: dict[str, dict[str, Tensor]] = {}
    for key, tensor in golden.group("out.alpha").items():
        strength, name = found_in(MERGED, key).groups()
        out.setdefault(strength, {})[name] = tensor
    return out


def _merge(
    golden: Golden, base: dict[str, Tensor], lora: dict[str, Tensor], extras: dict[str, Tensor], strength: float
) -> dict[str, Tensor]:
    """Our weights after the host's patches, from a model built and patched as Load CoInteract Model does."""
    from ...host.files.load_model import apply_lora

    patcher = plain_patcher(dit_settings(golden), extras)
    dit = patcher.model.diffusion_model
    untouched = {name: torch.zeros_like(tensor) for name, tensor in dit.state_dict().items()}
    dit.load_state_dict({**untouched, **base, **extras})
    apply_lora(patcher, lora, strength)
    patcher.patch_model(device_to=torch.device("cpu"))
    return {name: tensor.clone() for name, tensor in dit.state_dict().items()}
