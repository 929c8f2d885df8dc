"""The host symbols this pack touches.

Touch points, each with a test in ``tests/host``: `comfy.ldm.wan.model.WanModel_S2V` (constructor, sub-modules,
`_forward`, `unpatchify`), `optimized_attention`, `comfy.ops.cast_bias_weight`, `comfy.model_base.WAN22_S2V`,
`comfy.supported_models`, `comfy.sd.load_diffusion_model_state_dict`, `comfy.lora`, `comfy.samplers`, `comfy.sample`,
`latent_preview`, `comfy.utils.ProgressBar`, `folder_paths`, `comfy_api.latest`.
"""

from __future__ import annotations

import inspect
from typing import Any

import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from ..checkpoint.keys import SCALE


def extras_operations(operations: Any) -> Any:
    """Layer classes for our extras.

    The host's fp8 layers round whatever they hold, so beside a backbone of the host's own making the extras use
    `manual_cast` and stay bit-exact; layers a third party supplied (GGUF) are used as they are.
    """
    if getattr(operations, "__module__", "").startswith("comfy.") or operations is None:
        return comfy.ops.manual_cast
    return operations


def layer_weights(layer: torch.nn.Module, like: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer as its own forward would use them: on the input's device, in its dtype, patched."""
    own = getattr(layer, "cast_bias_weight", None)  # of layers that hold quantised tensors (ComfyUI-GGUF)
    weight, bias = own(like) if own is not None else comfy.ops.cast_bias_weight(layer, like)
    scale = getattr(layer, SCALE, None)  # of float8 layers
    return weight if scale is None else weight * scale.to(weight), bias


def load_state_dict_as_model(state: dict[str, Any], options: dict[str, Any], metadata: dict[str, str] | None) -> Any:
    """The host's loader of diffusion models; None where it does not know the model.

    Args:
        metadata: of the file, where newer hosts keep how its layers are quantised; older ones do not ask for it.
    """
    load = comfy.sd.load_diffusion_model_state_dict
    if "metadata" in inspect.signature(load).parameters:
        return load(state, model_options=options, metadata=metadata)
    return load(state, model_options=options)
