"""Tell the host which state dicts are ours, so that every one of its loaders builds our class."""

from __future__ import annotations

from typing import Any

import comfy.supported_models
import torch

from ..checkpoint.keys import EXPERT_KEY, EXPERT_SCALE_KEY, EXPERT_WIDTH_KEY, EXTRAS, HOI_KEY, PLAIN_KEY, SCALE
from ..constants import DEFAULT_SHIFT
from .base_model import CoInteractModel


def find_key(state_dict: dict[str, Any], suffix: str) -> str | None:
    """The key ending in `suffix` under whatever prefix a loader hands over."""
    return next((key for key in state_dict if key.endswith(suffix)), None)


def widest_dtype(state_dict: dict[str, Any]) -> torch.dtype | None:
    """The precision that holds every extra exactly but float8 weights; None where a third party quantised them."""
    marks = (PLAIN_KEY, SCALE)
    extras = [value for key, value in state_dict.items() if EXTRAS in key and not key.endswith(marks)]
    dtypes = {value.dtype for value in extras if value.is_floating_point()}
    if {torch.float16, torch.bfloat16} <= dtypes:
        return torch.float32
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=None)


class CoInteractConfig(comfy.supported_models.WAN22_S2V):
    """The host's S2V entry, for state dicts that carry our extras."""

    sampling_settings = {"shift": DEFAULT_SHIFT}

    @classmethod
    def matches(cls, unet_config: dict[str, Any], state_dict: dict[str, Any] | None = None) -> bool:
        """S2V by the host's detection, ours by a key (tested by its end: some loaders pass prefixed names)."""
        if state_dict is None or not super().matches(unet_config):
            return False
        return find_key(state_dict, EXPERT_KEY) is not None or find_key(state_dict, PLAIN_KEY) is not None

    def get_model(self, state_dict: dict[str, Any], prefix: str = "", device: Any = None) -> CoInteractModel:
        """Build the model with the extras the state dict holds."""
        width_key = find_key(state_dict, EXPERT_WIDTH_KEY)
        if width_key is not None:
            self.unet_config["expert_hidden"] = state_dict[width_key].shape[0]
        self.unet_config["extras_dtype"] = widest_dtype(state_dict)
        self.unet_config["hoi_stream"] = find_key(state_dict, HOI_KEY) is not None
        self.unet_config["experts_fp8"] = find_key(state_dict, EXPERT_SCALE_KEY) is not None
        self.unet_config["plain_marker"] = find_key(state_dict, PLAIN_KEY) is not None
        return CoInteractModel(self, device=device)


def register() -> None:
    """Put our entry in front of the host's list; calling it again (a reload) replaces the entry."""
    models = comfy.supported_models.models
    models[:] = [entry for entry in models if entry.__name__ != CoInteractConfig.__name__]
    models.insert(0, CoInteractConfig)
