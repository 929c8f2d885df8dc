"""From file names to the host's MODEL: check headers, join state dicts, load, apply the LoRA part."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import comfy.lora
import comfy.sd
import comfy.utils
import torch
from torch import Tensor

from ...checkpoint.header import Header, TensorInfo, read_headers
from ...checkpoint.identify import FileKind, Identity, identify
from ...checkpoint.keys import EXPERT_SCALE_KEY, EXTRAS, HOI, PLAIN_KEY
from ...checkpoint.merge import AdapterPlan, base_names, check_base, check_pair, check_tensors, plan_adapter, take
from ...errors import CheckpointKeysError, ModelFileError, name_some
from ..forms import load_state_dict_as_model, set_reload
from ..model.fp8_experts import quantise_experts
from ..model.prepare import prepared
from ..model.registration import register
from ..model.skeleton import detect_config, file_shapes
from ..objects import Patcher
from ..version import warn_of_new_host
from .add_lora import check_numbers
from .folders import ModelFile, find_adapter, find_base
from .gguf import gguf_operations, read_gguf, with_gguf_patching

log = logging.getLogger("cointeract")

# the choices of the host's own loader: dtype, and whether to multiply in fp8
WEIGHT_DTYPES: dict[str, tuple[torch.dtype | None, bool]] = {
    "default": (None, False),
    "fp8_e4m3fn": (torch.float8_e4m3fn, False),
    "fp8_e4m3fn_fast": (torch.float8_e4m3fn, True),
    "fp8_e5m2": (torch.float8_e5m2, False),
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The host's MODEL, and what was found in its files."""

    patcher: Patcher
    report: str


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Two files that were found to fit, and where each tensor goes.

    Attributes:
        base_names: name in the base to our name, without the HOI stream.
        base_hoi: the same of the base's HOI stream, where it was trained whole and kept it.
        adapter: None for a base alone.
        mark_plain: the model has no experts, so its state dict needs the mark.
    """

    base: ModelFile
    base_identity: Identity
    base_names: dict[str, str]
    base_hoi: dict[str, str]
    adapter_file: ModelFile | None
    adapter: AdapterPlan | None
    mark_plain: bool

    @property
    def report(self) -> str:
        """What matched, for the user."""
        if self.adapter is not None:
            return self.adapter.report.sentence()
        merged = self.base_identity.kind is FileKind.MERGED
        experts = sum(1 for name in self.base_names.values() if name.startswith(EXTRAS) and name != PLAIN_KEY)
        state = f"{experts} expert tensors merged in" if merged else "no experts"
        return f"{len(self.base_names)} tensors of the base, {state}, no adapter"


def plan_load(base_name: str, adapter_name: str | None) -> LoadPlan:
    """Check both files by their headers; nothing is loaded.

    Raises:
        ModelFileError: a file that is missing, damaged, of another model, or does not fit the other.
        CheckpointKeysError: tensors that are unknown, missing or of another shape.
    """
    base, adapter = find_base(base_name), find_adapter(adapter_name)
    base_header = _header(base, "base")
    base_identity = identify(base_header)
    check_base(base.what, base_identity)
    adapter_header: Header = {}
    hidden = base_identity.expert_hidden
    if adapter is not None:
        adapter_header = read_headers(list(adapter.paths), "adapter")
        adapter_identity = identify(adapter_header)
        check_pair(adapter.what, base_identity, adapter_identity)
        hidden = hidden or adapter_identity.expert_hidden

    names = base_names(base_header)
    ours = take(base_header, names)
    config = detect_config(base.what, ours)
    marked = PLAIN_KEY in ours
    own_shapes = file_shapes(
        base.what,
        config,
        expert_hidden=base_identity.expert_hidden,
        hoi_stream=base_identity.hoi,
        plain_marker=marked,
        experts_fp8=EXPERT_SCALE_KEY in ours,
    )
    check_tensors(base.what, ours, own_shapes)
    plan = None
    if adapter is not None:
        whole = file_shapes(adapter.what, config, expert_hidden=hidden, hoi_stream=True)
        plan = plan_adapter(adapter.what, adapter_header, whole)
    of_hoi = {before: after for before, after in names.items() if after.startswith(HOI)}
    names = {before: after for before, after in names.items() if before not in of_hoi and after != PLAIN_KEY}
    return LoadPlan(base, base_identity, names, of_hoi, adapter, plan, mark_plain=not hidden)


def load_cointeract(
    base_name: str,
    adapter_name: str | None,
    *,
    strength: float = 1.0,
    weight_dtype: str = "default",
    experts_fp8: bool = False,
) -> LoadedModel:
    """Load a base with an adapter over it.

    Args:
        base_name: as the host lists it under `diffusion_models` or `unet_gguf`.
        adapter_name: as the host lists it under `model_patches` or `loras`; None or ``none`` for the base alone.
        strength: of the LoRA part; router and experts are always used whole.
        weight_dtype: one of `WEIGHT_DTYPES`, for the base.
        experts_fp8: keep router and experts in float8; else in the precision of their file.

    Raises:
        ModelFileError: see `plan_load`.
    """
    warn_of_new_host()
    plan = plan_load(base_name, adapter_name)
    patcher, lora = _build(plan, weight_dtype, experts_fp8)
    set_reload(patcher, reload_patcher, base_name, adapter_name, weight_dtype, experts_fp8)
    if plan.adapter_file is not None:
        apply_lora(patcher, lora, strength, plan.adapter_file.what)
    log.info("%s: %s", plan.base.what, plan.report)
    return LoadedModel(patcher, plan.report)


def reload_patcher(
    base_name: str, adapter_name: str | None, weight_dtype: str, experts_fp8: bool, disable_dynamic: bool = False
) -> Patcher:
    """The same model once more with weights of its own; the LoRA stays with the patcher that asks.

    Args:
        disable_dynamic: have the weights loaded once, where the host would page them by itself.
    """
    return _build(plan_load(base_name, adapter_name), weight_dtype, experts_fp8, disable_dynamic=disable_dynamic)[0]


def _build(
    plan: LoadPlan, weight_dtype: str, experts_fp8: bool, *, disable_dynamic: bool = False
) -> tuple[Patcher, dict[str, Tensor]]:
    """The host's model of a plan, and the adapter's LoRA, not applied."""
    state, metadata, lora = read_tensors(plan)
    if experts_fp8:
        state |= quantise_experts(state)
    if plan.mark_plain:
        state[PLAIN_KEY] = torch.zeros(1)
    return make_patcher(plan.base, state, metadata, weight_dtype, disable_dynamic=disable_dynamic), lora


def read_tensors(
    plan: LoadPlan, *, hoi: bool = False
) -> tuple[dict[str, Tensor], dict[str, str] | None, dict[str, Tensor]]:
    """Read both files.

    Args:
        hoi: also take the HOI stream, the adapter's before the base's.

    Returns:
        the model's tensors under our names, without LoRA; the base's metadata; the adapter's LoRA.
    """
    state, metadata = _read_base(plan, hoi)
    if plan.adapter is None or plan.adapter_file is None:
        return state, metadata, {}
    tensors = _read(plan.adapter_file)[0]
    state |= take(tensors, {**plan.adapter.experts, **(plan.adapter.hoi if hoi else {})})
    return state, metadata, take(tensors, plan.adapter.lora)


def make_patcher(
    base: ModelFile,
    state: dict[str, Tensor],
    metadata: dict[str, str] | None,
    weight_dtype: str,
    *,
    disable_dynamic: bool = False,
) -> Patcher:
    """The host's model of a state dict, in our class, prepared; for `disable_dynamic` see `load_state_dict_as_model`.

    Raises:
        ModelFileError: the host does not know it.
    """
    register()  # whoever calls: without our entry the host makes its own class, which knows no product reference
    disable_dynamic = disable_dynamic or base.is_gguf  # ComfyUI cannot page weights that another pack quantised
    patcher = load_state_dict_as_model(state, _options(base, weight_dtype), metadata, disable_dynamic=disable_dynamic)
    if patcher is None:
        raise ModelFileError(
            f"{base.what} is no model this ComfyUI can load, but a Wan2.2-S2V base was expected; update ComfyUI."
        )
    return prepared(with_gguf_patching(patcher) if base.is_gguf else patcher)


def apply_lora(patcher: Patcher, lora: dict[str, Tensor], strength: float, what: str = "adapter") -> None:
    """Patch a model with LoRA tensors under the host's names.

    Raises:
        CheckpointKeysError: a tensor the host's loader left over.
        ModelFileError: values that are not numbers.
    """
    check_numbers(what, lora)
    targets = comfy.lora.model_lora_keys_unet(patcher.model, {})
    patches = comfy.lora.load_lora(lora, targets, log_missing=False)
    used = {name for patch in patches.values() for name in getattr(patch, "loaded_keys", ())}
    added = set(patcher.add_patches(patches, strength))
    left_over = (lora.keys() - used) | (patches.keys() - added)
    if left_over:
        raise CheckpointKeysError(
            f"{what} holds {len(left_over)} LoRA tensors ComfyUI cannot apply ({name_some(left_over)}), but all "
            "were expected to fit; choose the file made for this model."
        )


def _header(file: ModelFile, role: str) -> Header:
    if file.is_gguf:
        return {name: TensorInfo(tuple(tensor.shape)) for name, tensor in read_gguf(file.what, file.paths[0]).items()}
    return read_headers(list(file.paths), role)


def _read(file: ModelFile) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """All tensors of a file or its shards, and the metadata of the first."""
    tensors: dict[str, Tensor] = {}
    metadata = None
    for index, path in enumerate(file.paths):
        part, found = comfy.utils.load_torch_file(str(path), safe_load=True, return_metadata=True)
        tensors |= part
        metadata = found if index == 0 else metadata
    return tensors, metadata


def _read_base(plan: LoadPlan, hoi: bool) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    if plan.base.is_gguf:
        tensors, metadata = read_gguf(plan.base.what, plan.base.paths[0]), None
    else:
        tensors, metadata = _read(plan.base)
    return take(tensors, {**plan.base_names, **(plan.base_hoi if hoi else {})}), metadata


def _options(base: ModelFile, weight_dtype: str) -> dict[str, object]:
    if base.is_gguf:
        return {"custom_operations": gguf_operations()}
    dtype, fast = WEIGHT_DTYPES[weight_dtype]
    options: dict[str, object] = {}
    if dtype is not None:
        options["dtype"] = dtype
    if fast:
        options["fp8_optimizations"] = True
    return options
