"""How much arithmetic a training step takes with the HOI stream and without, counted and not timed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...generation import SHIFT
from ...held_out import TEST
from .host import model_in_training
from .rows import in_scale, read_scenes

if TYPE_CHECKING:
    from cointeract_pack.cointeract_core.host.train.model import TrainingModel
    from cointeract_pack.cointeract_core.training.step.sample import TrainingSample

LEVEL = 500  # of the 1000 noise levels; experts take part there
OFF, MODES = "off", ("off", "asymmetric", "mutual")


def count(folder: Path, base: str) -> dict[str, int]:
    """Floating-point operations of a row's forward and backward pass by mode of the HOI stream, experts there.

    Args:
        folder: of the proof, with its scenes.
        base: as ComfyUI lists it; any weights will do.
    """
    model = model_in_training(base, hoi=True, experts=True)
    model.dit.requires_grad_(True)
    sample = in_scale(read_scenes(folder, TEST, 1)[0], model.patcher.model.latent_format.process_in)
    return {mode: _count(model, sample, mode) for mode in MODES}


def _count(model: TrainingModel, sample: TrainingSample, mode: str) -> int:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from cointeract_pack.cointeract_core.training.settings.sections import LossSettings
    from cointeract_pack.cointeract_core.training.step.noise import training_sigmas
    from cointeract_pack.cointeract_core.training.step.step import Draw, losses_of, step_inputs
    from cointeract_pack.cointeract_core.training.step.timesteps import Dropped

    noise = torch.zeros_like(sample.alone)
    kept = Dropped(prompt=False, motion=False, pose=False, audio=False)
    drawn = Draw(kept, training_sigmas(SHIFT)[LEVEL], torch.tensor(1.0), noise, None if mode == OFF else noise)
    given = step_inputs(sample, drawn, mode, lambda tensor: tensor.to(model.patcher.load_device, model.dtype))
    counter = FlopCounterMode(display=False)
    # fused kernels of the CPU are not counted; the plain one is made of products, which are
    with sdpa_kernel(SDPBackend.MATH), counter:
        losses_of(model.dit, given, LossSettings())[0].total.backward()
    return int(counter.get_total_flops())
