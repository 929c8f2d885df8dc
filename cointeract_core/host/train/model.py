"""The transformer as training wants it: LoRA apart, experts and HOI stream there even where no file brings them."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...checkpoint.header import TensorInfo
from ...checkpoint.keys import EXPERT_KEY, EXPERTS, HOI, HOI_KEY, PLAIN_KEY
from ...constants import EXPERT_HIDDEN
from ...training.step.cache import file_stamp
from ..files.load_model import LoadPlan, make_patcher, read_tensors
from ..forms import LayerWeights, without_fast_products
from ..model.dit import CoInteractDiT
from ..model.skeleton import detect_config, model_shapes
from ..objects import Patcher


@dataclass(frozen=True, slots=True)
class TrainingModel:
    """A loaded model.

    Attributes:
        patcher: the host's MODEL, for sample videos.
        lora: the adapter's LoRA under the host's names, not applied.
        dtype: precision of the computation.
        file_dtype: of most of the base's file.
    """

    patcher: Patcher
    lora: dict[str, Tensor]
    dtype: torch.dtype
    file_dtype: torch.dtype

    @property
    def dit(self) -> CoInteractDiT:
        """The transformer."""
        dit: CoInteractDiT = self.patcher.model.diffusion_model
        return dit


def load_training_model(
    plan: LoadPlan, weight_dtype: str, compute_dtype: str = "default", *, hoi: bool, experts: bool, seed: int
) -> TrainingModel:
    """Load a base and an adapter to train from.

    Experts and HOI stream that no file brings are started as in the reference: experts that add nothing yet, the HOI
    stream as a copy of the RGB stream's own parts (MOE:53-62, DIT:927-970).

    Args:
        plan: from `plan_load`.
        weight_dtype: the base's precision; see `WEIGHT_DTYPES`.
        compute_dtype: of the products; see `COMPUTE_DTYPES`.
        hoi: build the HOI stream.
        experts: build experts where there are none.
        seed: of fresh experts.
    """
    state, metadata, lora = read_tensors(plan, hoi=hoi)
    file_dtype = most_common_dtype(state)
    fresh_hoi = hoi and HOI_KEY not in state
    header = {name: TensorInfo(tuple(tensor.shape)) for name, tensor in state.items()}
    backbone = {name: info for name, info in header.items() if not name.startswith((EXPERTS, HOI))}
    whole = model_shapes(detect_config(plan.base.what, backbone), expert_hidden=EXPERT_HIDDEN, hoi_stream=hoi)
    if experts and EXPERT_KEY not in state:
        state |= fresh_experts({name: shape for name, shape in whole.items() if name.startswith(EXPERTS)}, seed)
    if EXPERT_KEY not in state:
        state[PLAIN_KEY] = torch.zeros(1)  # without experts too, the host is to make our class of it
    if fresh_hoi:
        state |= {name: torch.zeros(shape) for name, shape in whole.items() if name.startswith(HOI)}
    # weights that the host pages are made anew when they come in, and what was trained of them would be gone
    with without_fast_products():
        patcher = make_patcher(plan.base, state, metadata, weight_dtype, disable_dynamic=True)
    model = TrainingModel(patcher, lora, products_dtype(compute_dtype, patcher.load_device), file_dtype)
    for module in model.dit.modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True  # weights follow the input's precision and device, whatever they are in
    if fresh_hoi:
        copy_rgb_stream(model.dit)
    return model


def most_common_dtype(state: Mapping[str, Tensor]) -> torch.dtype:
    """The precision most of the values are in."""
    values: Counter[torch.dtype] = Counter()
    for tensor in state.values():
        values[tensor.dtype] += tensor.numel()
    return values.most_common(1)[0][0]


def products_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """By default bfloat16 where the device multiplies in it, else float32; float16 would lose small gradients.

    ComfyUI calls bfloat16 slow on the CPU, and on many it is; those with AVX512_BF16 gain by it, if asked.
    """
    if wanted != "default":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if comfy.model_management.should_use_bf16(device) else torch.float32


def fresh_experts(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Starting values of router and experts, float32: the experts' second layers are zero (MOE:53-62)."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        weight = shapes[name.rpartition(".")[0] + ".weight"]
        uniform = (torch.rand(shape, generator=generator) * 2 - 1) / math.sqrt(weight[-1])
        if len(weight) == 1:  # the router's norm
            state[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        elif ".router." in name or name.endswith("fc1.weight"):
            state[name] = uniform
        else:
            state[name] = torch.zeros(shape)
    return state


@torch.no_grad()
def copy_rgb_stream(dit: CoInteractDiT) -> None:
    """Start the HOI stream as a copy of the RGB stream's parts; its type embedding is zero (DIT:927-970)."""
    hoi: Any = dit.hoi
    for theirs, own in ((dit.patch_embedding, hoi.patch_embedding), (dit.head.head, hoi.head.head)):
        with LayerWeights(theirs, own.weight) as (weight, bias):
            own.weight.copy_(weight)
            own.bias.copy_(bias)
    hoi.head.modulation.copy_(dit.head.modulation)
    hoi.type_embedding.weight.zero_()
    for block, own in zip(dit.blocks, hoi.modulation, strict=True):
        own.copy_(block.modulation)


def model_stamp(plan: LoadPlan) -> str:
    """Hash of base and adapter."""
    paths = [*plan.base.paths, *(plan.adapter_file.paths if plan.adapter_file else ())]
    return hashlib.sha256("".join(file_stamp(path) for path in paths).encode()).hexdigest()
