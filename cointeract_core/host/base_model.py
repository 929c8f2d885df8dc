"""The host's base model for our transformer: conditions in, memory estimate out."""

from __future__ import annotations

import math
from typing import Any

import comfy.conds
import comfy.model_base

from ..checkpoint.header import TensorInfo
from ..checkpoint.merge import check_tensors
from ..constants import MOTION_1X_LATENTS, PATCH
from .dit import CoInteractDiT
from .skeleton import model_shapes

# names of our values in the host's conditioning dictionaries; the host's own names are kept where it has them
PRODUCT, PRODUCT_SCALE, FACE_MASK = "cointeract_product", "cointeract_product_scale", "cointeract_face_mask"
# motion tokens in units of one latent's tokens: 1x in full, 2x a quarter, 4x four sixteenths
MOTION_TOKEN_SHARE = MOTION_1X_LATENTS + 1 / PATCH**2 + 4 / PATCH**4


class CoInteractModel(comfy.model_base.WAN22_S2V):
    """`WAN22_S2V` over `CoInteractDiT`, with product reference, face mask and their share of memory."""

    def __init__(
        self, model_config: Any, model_type: Any = comfy.model_base.ModelType.FLOW, device: Any = None
    ) -> None:
        # the host's class names its transformer in its constructor, so its grandparent is called
        super(comfy.model_base.WAN21, self).__init__(model_config, model_type, device=device, unet_model=CoInteractDiT)
        self.image_to_video = False
        self.memory_usage_factor_conds = ("reference_latent", "product_latent", "reference_motion")
        self.memory_usage_shape_process = {
            "reference_motion": lambda shape: [shape[0], shape[1], MOTION_TOKEN_SHARE, shape[-2], shape[-1]]
        }

    def load_model_weights(self, sd: dict[str, Any], unet_prefix: str = "", **kwargs: Any) -> Any:
        """Load as the host does, but refuse what the host would only log, whichever loader is used.

        Raises:
            CheckpointKeysError: tensors that are unknown, missing or of another shape.
        """
        found = {
            name[len(unet_prefix) :]: TensorInfo(tuple(tensor.shape))
            for name, tensor in sd.items()
            if name.startswith(unet_prefix)
        }
        check_tensors("The model file", found, model_shapes(self.model_config.unet_config))
        return super().load_model_weights(sd, unet_prefix, **kwargs)

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """Conditions of one clip in the model's latent scale."""
        out = super().extra_conds(**kwargs)
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

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, Any]:
        """Shapes that count in the host's memory estimate before anything is loaded."""
        out = super().extra_conds_shapes(**kwargs)
        product = kwargs.get(PRODUCT)
        if product is not None:
            out["product_latent"] = [1, 16, math.prod(product.shape) // 16]
        return out
