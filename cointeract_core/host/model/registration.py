"""Tell the host which state dicts are ours, so that every one of its loaders builds our class."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import comfy.supported_models
import torch
from torch import Tensor

from ...checkpoint.keys import (
    EXPERT_KEY,
    EXPERT_SCALE_KEY,
    EXPERT_WIDTH_KEY,
    EXTRAS,
    HOI_KEY,
    OLD_SCALES,
    PLAIN_KEY,
    QUANT_MARK,
    SCALE,
    expert_scale,
)
from ...constants import DEFAULT_SHIFT
from ..objects import ModelConfig, UnetConfig
from .base_model import CoInteractModel

log = logging.getLogger("cointeract")


def find_key(state_dict: dict[str, Tensor], suffix: str) -> str | None:
    """The key ending in `suffix` under whatever prefix a loader hands over."""
    return next((key for key in state_dict if key.endswith(suffix)), None)


def widest_dtype(state_dict: dict[str, Tensor]) -> torch.dtype | None:
    """The precision that holds every extra exactly but float8 weights; None where a third party quantised them."""
    marks = (PLAIN_KEY, SCALE, *OLD_SCALES, QUANT_MARK)
    extras = [value for key, value in state_dict.items() if EXTRAS in key and not key.endswith(marks)]
    dtypes = {value.dtype for value in extras if value.is_floating_point()}
    if {torch.float16, torch.bfloat16} <= dtypes:
        return torch.float32
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=None)


class CoInteractConfig(comfy.supported_models.WAN22_S2V):
    """The host's S2V entry, for state dicts that carry our extras."""

    sampling_settings = {"shift": DEFAULT_SHIFT}

    @classmethod
    def matches(
        cls, unet_config: UnetConfig, state_dict: dict[str, Tensor] | None = None, *others: object, **more: object
    ) -> bool:
        """S2V by the host's detection, ours by a key (tested by its end: some loaders pass prefixed names).

        The host asks this entry about every model of every kind, so it must never be what stops one from loading:
        whatever goes wrong here, the model is not ours.

        Args:
            others, more: what newer hosts pass beside; handed on.
        """
        try:
            if state_dict is None or not super().matches(unet_config, state_dict, *others, **more):
                return False
            return find_key(state_dict, EXPERT_KEY) is not None or find_key(state_dict, PLAIN_KEY) is not None
        except Exception as error:
            _say_once(f"{type(error).__name__}: {error}")
            return False

    def get_model(
        self, state_dict: dict[str, Tensor], prefix: str = "", device: torch.device | None = None
    ) -> CoInteractModel:
        """Build the model with the extras the state dict holds."""
        width_key = find_key(state_dict, EXPERT_WIDTH_KEY)
        if width_key is not None:
            self.unet_config["expert_hidden"] = state_dict[width_key].shape[0]
        self.unet_config["extras_dtype"] = widest_dtype(state_dict)
        self.unet_config["hoi_stream"] = find_key(state_dict, HOI_KEY) is not None
        self.unet_config["experts_fp8"] = any(
            EXTRAS in key and expert_scale(key).endswith(EXPERT_SCALE_KEY) for key in state_dict
        )
        self.unet_config["plain_marker"] = find_key(state_dict, PLAIN_KEY) is not None
        return CoInteractModel(self, device=device)


@lru_cache(maxsize=8)
def _say_once(problem: str) -> None:
    """Log a problem the first time it comes."""
    log.warning(
        "CoInteract could not tell whether a model is its own (%s) and left it to ComfyUI; update CoInteract, which "
        "does not know this ComfyUI yet.",
        problem,
    )


def register() -> None:
    """Put our entry in front of the host's own for S2V; calling it again (a reload) replaces the entry.

    There, and not at the front of the list: models that an earlier entry knows never come by.
    """
    models = comfy.supported_models.models
    models[:] = host_entries()
    theirs = comfy.supported_models.WAN22_S2V
    models.insert(models.index(theirs) if theirs in models else 0, CoInteractConfig)


def host_entries() -> list[type[ModelConfig]]:
    """The host's list without our entry."""
    return [entry for entry in comfy.supported_models.models if entry.__name__ != CoInteractConfig.__name__]


@contextmanager
def unregistered() -> Iterator[None]:
    """Inside, the host does not know our entry."""
    models = comfy.supported_models.models
    every = list(models)
    models[:] = host_entries()
    try:
        yield
    finally:
        models[:] = every


def find_entry(unet_config: UnetConfig) -> ModelConfig:
    """What the host takes a model of that configuration for; raises what the host raises where it wants to know more.

    Args:
        unet_config: as the host detects it; not changed.
    """
    import comfy.model_detection

    entry: ModelConfig = comfy.model_detection.model_config_from_unet_config(dict(unet_config), {})
    return entry
