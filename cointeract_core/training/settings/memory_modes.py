"""Memory modes, named by the card each is meant for, and what each does; `step/memory.py` does it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a mode does.

    Attributes:
        recompute: run blocks again in the backward pass.
        offload: keep what stands between blocks in the CPU's memory.
        resident: share of the blocks whose frozen weights stay on the device.
        trained_on_device: keep trained parameters, their gradients and the optimiser's state on the device; otherwise
            they lie in main memory, and the CPU makes the update.
    """

    recompute: bool = True
    offload: bool = False
    resident: float = 1.0
    trained_on_device: bool = True


RECIPES = {
    "none": Recipe(recompute=False),
    "80gb": Recipe(),
    "48gb": Recipe(offload=True),
    "32gb": Recipe(offload=True, resident=0.5, trained_on_device=False),
    "24gb": Recipe(offload=True, resident=0.1, trained_on_device=False),
}
MEMORY_MODES = tuple(RECIPES)
