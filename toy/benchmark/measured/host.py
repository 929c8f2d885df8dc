"""The pack in this process, found by its folder, so that the checkout may have any name."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from ...generation import PACK, ROOT

if TYPE_CHECKING:
    from cointeract_pack.cointeract_core.host.train.model import TrainingModel


def open_pack() -> None:
    """Let the pack be imported as `cointeract_pack`; ComfyUI is not needed for that."""
    if PACK not in sys.modules:
        package = types.ModuleType(PACK)
        package.__path__ = [str(ROOT)]
        sys.modules[PACK] = package


def has_gpu() -> bool:
    """Whether ComfyUI computes on one."""
    import comfy.model_management

    return str(comfy.model_management.get_torch_device()) != "cpu"


def model_in_training(name: str, *, hoi: bool, experts: bool = False) -> TrainingModel:
    """A model as the trainer has it, on its device.

    Args:
        name: base as ComfyUI lists it.
        hoi: with the HOI stream, a fresh one where the file has none.
        experts: with fresh experts where the file has none.
    """
    import comfy.model_management

    from cointeract_pack.cointeract_core.host.files.load_model import plan_load
    from cointeract_pack.cointeract_core.host.train.model import load_training_model

    model = load_training_model(plan_load(name, None), "default", hoi=hoi, experts=experts, seed=0)
    comfy.model_management.load_models_gpu([model.patcher], force_full_load=True)
    return model
