"""The host's base model for our transformer: conditions in, memory estimate out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import comfy.conds
import comfy.model_base
import comfy.model_management
import torch
from torch import Tensor

from ...checkpoint.header import TensorInfo
from ...checkpoint.keys import EXPERTS, QUANT_MARK, expert_scale
from ...checkpoint.merge import check_tensors
from ...constants import (
    AUDIO_INJECT_LAYERS,
    CLIP_TARGET_LATENTS,
    LATENT_CHANNELS,
    MOTION_1X_LATENTS,
    PATCH,
    TEXT_TOKENS,
)
from ..objects import ModelConfig
from .context_windows import WHOLE
from .dit import CoInteractDiT
from .fp8_experts import FP8
from .skeleton import model_shapes

# names of our values in the host's conditioning dictionaries; the host's own names are kept where it has them
PRODUCT, PRODUCT_SCALE, FACE_MASK = "cointeract_product", "cointeract_product_scale", "cointeract_face_mask"
# motion tokens in units of one latent's tokens: 1x in full, 2x a quarter, 4x four sixteenths
MOTION_TOKEN_SHARE = MOTION_1X_LATENTS + 1 / PATCH**2 + 4 / PATCH**4
# memory of a forward in rows of the sequence: 6.0 at its peak (benchmarks/trace.py); kept are the first attention from
# pass to pass, and the tokens of a pose
ROWS_AT_PEAK, ROWS_KEPT = 6.0, 2.0
MARGIN = 1.15  # for what attention kernels and 8-bit products keep beside their inputs, and for gaps
AUDIO_ROWS = 12  # per latent and injection: keys and values of five tokens, shift and scale
Shape: TypeAlias = Sequence[float]  # of latents, or what counts like one: a share of a frame is not whole


class CoInteractModel(comfy.model_base.WAN22_S2V):
    """`WAN22_S2V` over `CoInteractDiT`, with product reference, face mask and their share of memory."""

    def __init__(
        self,
        model_config: ModelConfig,
        model_type: object = comfy.model_base.ModelType.FLOW,
        device: torch.device | None = None,
    ) -> None:
        # the host's class names its transformer in its constructor, so its grandparent is called
        super(comfy.model_base.WAN21, self).__init__(model_config, model_type, device=device, unet_model=CoInteractDiT)
        self.image_to_video = False
        self.memory_usage_factor_conds = ("reference_latent", "product_latent", "reference_motion")
        self.memory_usage_shape_process = {
            "reference_motion": lambda shape: [shape[0], shape[1], MOTION_TOKEN_SHARE, shape[-2], shape[-1]]
        }

    def load_model_weights(self, sd: dict[str, Tensor], unet_prefix: str = "", **kwargs: object) -> object:
        """Load as the host does, but refuse what the host would only log, whichever loader is used.

        Raises:
            CheckpointKeysError: tensors that are unknown, missing or of another shape.
        """
        _restore_scales(sd)
        found = {
            name[len(unet_prefix) :]: TensorInfo(tuple(tensor.shape))
            for name, tensor in sd.items()
            if name.startswith(unet_prefix)
        }
        check_tensors("The model file", found, model_shapes(self.model_config.unet_config))
        return super().load_model_weights(sd, unet_prefix, **kwargs)

    def memory_required(self, input_shape: Shape, cond_shapes: Mapping[str, Sequence[Shape]] | None = None) -> float:
        """Bytes of a forward beside the weights; the host asks before it loads, and before each pass.

        Args:
            input_shape: `[B, 16, F, h, w]`.
            cond_shapes: shapes of person, product and motion latents, by condition.
        """
        management = comfy.model_management
        if management.xformers_enabled() or management.pytorch_attention_flash_attention():
            return self.memory_of_tokens(input_shape, cond_shapes or {})
        # attention that holds its scores: the host has an estimate of its own for that
        theirs: float = super().memory_required(input_shape, cond_shapes or {})
        return theirs

    def memory_of_tokens(self, input_shape: Shape, cond_shapes: Mapping[str, Sequence[Shape]]) -> float:
        """The same where attention keeps nothing but its inputs and output."""
        shapes = [input_shape]
        for name in self.memory_usage_factor_conds:
            process = self.memory_usage_shape_process.get(name, list)
            shapes += [process(shape) for shape in cond_shapes.get(name, ())]
        tokens = sum(shape[0] * math.prod(shape[2:]) for shape in shapes) / PATCH**2
        dit = self.diffusion_model
        row: int = dit.dim * comfy.model_management.dtype_size(self.manual_cast_dtype or self.get_dtype())
        text: int = 2 * TEXT_TOKENS * dit.num_layers
        speech = AUDIO_ROWS * CLIP_TARGET_LATENTS * len(AUDIO_INJECT_LAYERS)
        rows = tokens * (ROWS_AT_PEAK + ROWS_KEPT) * MARGIN + 2 * (text + speech)
        return rows * row

    def extra_conds(self, **kwargs: Any) -> dict[str, object]:
        """Conditions of one clip in the model's latent scale."""
        out: dict[str, object] = super().extra_conds(**kwargs)
        product = kwargs.get(PRODUCT)
        if product is not None:
            out["product_latent"] = comfy.conds.CONDRegular(self.process_latent_in(product))
            out["product_scale"] = comfy.conds.CONDConstant(float(kwargs.get(PRODUCT_SCALE, 1.0)))
        face_mask = kwargs.get(FACE_MASK)
        if isinstance(face_mask, str):
            out["face_mask"] = comfy.conds.CONDConstant(face_mask)
        elif face_mask is not None:
            out["face_mask"] = comfy.conds.CONDRegular(face_mask)
        return out

    def resize_cond_for_context_window(
        self, cond_key: str, cond_value: object, *args: object, **kwargs: object
    ) -> object:
        """Keep newer hosts from cutting what a window sees whole, or what the forward cuts (`context_windows.py`)."""
        if cond_key in WHOLE:
            return cond_value
        return super().resize_cond_for_context_window(cond_key, cond_value, *args, **kwargs)

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, Shape]:
        """Shapes that count in the host's memory estimate before anything is loaded."""
        out: dict[str, Shape] = super().extra_conds_shapes(**kwargs)
        product = kwargs.get(PRODUCT)
        if product is not None:
            out["product_latent"] = [1, LATENT_CHANNELS, math.prod(product.shape) // LATENT_CHANNELS]
        return out


def _restore_scales(state: dict[str, Tensor]) -> None:
    """Give the scales of float8 experts our name again, in place.

    Files of before called them as ComfyUI calls its own; newer ComfyUI renames those and marks the layer as one of its
    quantised kind, which ours is not.
    """
    for name in [name for name in state if EXPERTS in name]:
        layer, _, leaf = name.rpartition(".")
        if leaf == QUANT_MARK and getattr(state.get(f"{layer}.weight"), "dtype", None) is FP8:
            del state[name]
        elif expert_scale(name) != name:
            state[expert_scale(name)] = state.pop(name)
