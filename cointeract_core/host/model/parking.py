"""Our model in the host's memory management: weights that only make a clip's constants stay out of video memory.

On a host whose patcher pages weights by itself there is nothing of the kind to do: see `KeepsConstants`.  Which MODELs
get this, and when, is for `prepare.py`.

Text and speech keys and values, their encoders, the AdaIN layers, the projections of the timestep and of motion frames
are 21.8 % of the weights and are read once per clip or, for the timestep, once per step.  They are kept where the host
keeps what it has unloaded, with the host's own marks of a layer that is brought in for each call; LoRAs are applied to
them on the device, as to all others, so their values are the same bit by bit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from comfy.model_patcher import wipe_lowvram_weight
from torch import nn

from ..objects import BaseModel, Patcher
from .clip_cache import RunCache

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher as AnyPatcher
else:
    AnyPatcher = object  # the class that a patcher had before comes behind ours: see `_our_class`

DIT = "diffusion_model."
WHOLE_PARTS = ("casual_audio_encoder.", "text_embedding.", "time_embedding.", "time_projection.", "frame_packer.")
# in front of the attention's own name: layers of cross-attentions whose input is the text or the speech alone
CONSTANT_LAYERS = (".k", ".v", ".norm_k")


def is_parked(name: str) -> bool:
    """Whether a layer of the host's model, by its name, only makes constants."""
    if not name.startswith(DIT):
        return False
    own = name.removeprefix(DIT)
    if own.startswith(WHOLE_PARTS) or own.startswith("audio_injector.injector_adain_layers."):
        return True
    return own.endswith(CONSTANT_LAYERS) and (".cross_attn." in own or own.startswith("audio_injector.injector."))


class KeepsConstants(AnyPatcher):
    """Mixed into any patcher of the host's: hands on what it is asked, and lets go of the run's constants first.

    The whole of what is added where the host pages weights by itself (its dynamic patcher): there, what is read once
    per clip makes room for the rest without being told.

    Attributes:
        run_cache: constants of the sampling run in progress, which are let go when the host asks for memory.
    """

    run_cache: RunCache | None = None

    def clone(self, *args: object, **kwargs: object) -> Patcher:
        """A patcher with the same additions; newer hosts can be asked for one of another kind."""
        copy = super().clone(*args, **kwargs)
        copy.size = self.size  # the host hands on what `model_size` says
        return with_additions(copy)

    def partially_unload(
        self, device_to: torch.device, memory_to_free: float = 0, *args: object, **kwargs: object
    ) -> float:
        """Give up the run's constants before any weights."""
        freed = self._let_go()
        if freed >= memory_to_free:
            return freed
        weights: float = super().partially_unload(device_to, memory_to_free - freed, *args, **kwargs)
        return freed + weights

    def detach(self, *args: object, **kwargs: object) -> object:
        """Leave the device, and the run's constants with it."""
        self._let_go()
        return super().detach(*args, **kwargs)

    def _let_go(self) -> int:
        return 0 if self.run_cache is None else self.run_cache.free()


class Parking(KeepsConstants):
    """Mixed into a patcher that loads weights once (the host's older one, or ComfyUI-GGUF's): see the module.

    Attributes:
        model, load_device, offload_device, backup: the host's own; `backup` holds weights as they were unpatched.
    """

    model: BaseModel
    load_device: torch.device
    offload_device: torch.device
    backup: dict[str, object]

    @property
    def parks(self) -> bool:
        """Not where unloaded weights stay on the same device: on the CPU, or with all models kept in video memory."""
        return self.load_device != self.offload_device

    def model_size(self) -> int:
        """Bytes the host should make room for."""
        whole: int = super().model_size()
        if not self.parks:
            return whole
        parked: int = sum(comfy.model_management.module_size(module) for _, module in self._parked_modules())
        return whole - parked

    def get_ram_usage(self) -> int:
        """Bytes in main memory."""
        size: int = super().model_size()
        return size

    def load(
        self,
        device_to: torch.device | None = None,
        lowvram_model_memory: float = 0,
        force_patch_weights: bool = False,
        full_load: bool = False,
        **more: object,
    ) -> None:
        """Load everything else as the host does, then patch and park the layers that make constants."""
        if self.parks and full_load:
            lowvram_model_memory, full_load = math.inf, False  # a full load would move every parameter of the model
        super().load(
            device_to,
            lowvram_model_memory=lowvram_model_memory,
            force_patch_weights=force_patch_weights,
            full_load=full_load,
            **more,
        )
        if self.parks:
            for name, module in self._parked_modules():
                self._park(name, module, device_to)

    def unpatch_model(self, device_to: torch.device | None = None, unpatch_weights: bool = True) -> None:
        """Undo; parked layers lose their mark first."""
        if unpatch_weights:
            for _, module in self._parked_modules():
                wipe_lowvram_weight(module)
        super().unpatch_model(device_to, unpatch_weights)

    def _load_list(self, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        """What the host loads and unloads: tuples that hold a layer, at a place that changes from host to host."""
        parked = {id(module) for _, module in self._parked_modules()} if self.parks else set()
        return [entry for entry in super()._load_list(*args, **kwargs) if parked.isdisjoint(map(id, entry))]

    def _parked_modules(self) -> list[tuple[str, nn.Module]]:
        """Layers with weights, and their names."""
        return [
            (name, module)
            for name, module in self.model.named_modules()
            if is_parked(name) and hasattr(module, "comfy_cast_weights")
        ]

    def _park(self, name: str, module: Any, device: torch.device | None) -> None:
        """Patch a layer on the device, then keep it where the host keeps what is unloaded, with the host's marks."""
        keys = [f"{name}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)]
        for key in keys:
            if key not in self.backup:  # else it is patched already
                self.patch_weight_to_device(key, device_to=device)
        module.to(self.offload_device)
        for key in keys:
            self.pin_weight_to_device(key)
        if not hasattr(module, "prev_comfy_cast_weights"):
            module.prev_comfy_cast_weights, module.comfy_cast_weights = module.comfy_cast_weights, True


def is_dynamic(patcher: Patcher) -> bool:
    """Whether the host pages this patcher's weights by itself; older hosts have no such kind and no such question."""
    ask = getattr(patcher, "is_dynamic", None)
    return ask is not None and bool(ask())


def has_additions(patcher: Patcher) -> bool:
    """Whether a patcher has our additions, those for its kind."""
    return isinstance(patcher, KeepsConstants) and isinstance(patcher, Parking) != is_dynamic(patcher)


def with_additions(patcher: Patcher) -> Patcher:
    """Give a patcher, which is the caller's own, our additions; in place."""
    kind = type(patcher)
    while issubclass(kind, KeepsConstants):
        kind = kind.__mro__[kind.__mro__.index(KeepsConstants) + 1]
    patcher.__class__ = _our_class(KeepsConstants if is_dynamic(patcher) else Parking, kind)
    return patcher


@lru_cache(maxsize=16)
def _our_class(ours: type, kind: type) -> type:
    return type(f"CoInteract{kind.__name__}", (ours, kind), {})
