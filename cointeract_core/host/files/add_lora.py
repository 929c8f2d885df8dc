"""A LoRA over our MODEL: in every name form that the adapter reader knows and in those of ComfyUI's own loader.

ComfyUI's Load LoRA node leaves out what it does not know, silently; here, a file of which nothing matches is refused,
and what of another does not match is named.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import comfy.lora
import comfy.utils
import torch
from torch import Tensor

from ...checkpoint.header import read_headers
from ...checkpoint.keys import EXTRAS, HOST_PREFIX, parse_lora, to_ours
from ...errors import CheckpointKeysError, ModelFileError, name_some
from ...finite import all_finite
from ..model.skeleton import model_shapes
from ..objects import Patcher
from .check_wired import check_model
from .folders import find_lora

log = logging.getLogger("cointeract")

# endings of tensors beside a layer's name that the host reads, other than those of LoRA itself
OTHER_ENDINGS = (".diff_b", ".diff", ".set_weight", ".w_norm", ".b_norm", ".dora_scale", ".alpha")


def add_lora(patcher: Patcher, name: str, strength: float) -> tuple[Patcher, str]:
    """A clone of the model with a LoRA over it, and what matched.

    Args:
        patcher: a MODEL of ours.
        name: of a file in the host's `loras` folder.

    Raises:
        ModelFileError: another model, or a file that is missing, damaged, or holds values that are not numbers.
        CheckpointKeysError: nothing in it fits the model, or a layer in it has another shape.
    """
    check_model(patcher)
    file = find_lora(name)
    read_headers(list(file.paths), "LoRA")  # says in a sentence what a damaged file is
    tensors = comfy.utils.load_torch_file(str(file.paths[0]), safe_load=True)
    check_numbers(file.what, tensors)
    targets = comfy.lora.model_lora_keys_unet(patcher.model, {})
    known = _host_names(file.what, tensors, targets)
    patches = comfy.lora.load_lora(known, targets, log_missing=False)
    if not patches:
        raise CheckpointKeysError(
            f"{file.what} holds {len(tensors)} tensors, none of which fits this model ({name_some(tensors)}), but a "
            "LoRA for Wan2.2 was expected; choose one made for Wan 14B."
        )
    _check_shapes(file.what, patches, model_shapes(patcher.model.model_config.unet_config))
    out = patcher.clone()
    added = set(out.add_patches(patches, strength))
    left = sorted(known.keys() - _used(known, patches, targets))
    report = f"{len(added)} layers changed"
    if left:
        report += f", {len(left)} of {len(known)} tensors not used, as the model has no such layers: {name_some(left)}"
        if any(to_ours(key).startswith(EXTRAS) for key in left):
            report += "; experts come in with Load CoInteract Model"
        log.warning("%s: %s", file.what, report)
    return out, report


def check_numbers(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a LoRA with NaN or infinity in it: every frame would be black.

    Raises:
        ModelFileError: it has some.
    """
    broken = [name for name, tensor in tensors.items() if not all_finite(tensor)]
    if broken:
        raise ModelFileError(
            f"{what} holds values that are not numbers (NaN or infinity) in {len(broken)} tensors "
            f"({name_some(broken)}), but numbers were expected; download or train it again."
        )


def _host_names(what: str, tensors: Mapping[str, Tensor], targets: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors under names the host reads; those it may read by other names keep theirs."""
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        after = _host_name(name, targets)
        if after in named:
            raise CheckpointKeysError(
                f"{what} holds {after} under several names, but one was expected; save the LoRA again."
            )
        named[after] = tensor
    return named


def _host_name(name: str, targets: Mapping[str, str]) -> str:
    lora = parse_lora(name)
    if lora is not None:
        return lora.host if f"{HOST_PREFIX}{lora.module}" in targets else name
    ending = next((ending for ending in OTHER_ENDINGS if name.endswith(ending)), "")
    layer = HOST_PREFIX + to_ours(name.removesuffix(ending) + ".")[:-1]
    return f"{layer}{ending}" if ending and layer in targets else name


def _used(tensors: Mapping[str, Tensor], patches: Mapping[str, object], targets: Mapping[str, str]) -> set[str]:
    """Names the host has read."""
    used = {name for patch in patches.values() for name in getattr(patch, "loaded_keys", ())}
    changed = {
        layer for layer, key in targets.items() if key in patches or f"{key.removesuffix('.weight')}.bias" in patches
    }
    return used | {f"{layer}{ending}" for layer in changed for ending in OTHER_ENDINGS if f"{layer}{ending}" in tensors}


def _check_shapes(what: str, patches: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse layers of another shape, which the host only logs while it samples."""
    other = []
    for key, patch in patches.items():
        expected = shapes.get(key.removeprefix(HOST_PREFIX))
        found = _size(patch)
        if expected is not None and found is not None and found != torch.Size(expected).numel():
            other.append(key)
    if other:
        raise CheckpointKeysError(
            f"{what} changes {len(other)} layers of another shape than this model's ({name_some(other)}), but the same "
            "shape was expected; choose a LoRA made for Wan 14B."
        )


def _size(patch: object) -> int | None:
    """How many numbers a patch changes; None for kinds that are reshaped or built otherwise."""
    weights = getattr(patch, "weights", None)
    if getattr(patch, "name", None) == "lora" and weights is not None:
        up, down, _alpha, middle, _dora, reshaped = weights[:6]
        return up.shape[0] * down[0].numel() if middle is None and reshaped is None and down.ndim else None
    if isinstance(patch, tuple) and patch[0] in ("diff", "set") and isinstance(patch[1][0], Tensor):
        return patch[1][0].numel()
    return None
