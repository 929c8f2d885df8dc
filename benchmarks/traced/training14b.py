"""One training step of the 14B model on the `meta` device: what autograd keeps, and the most that is alive at once.

Two and three blocks are traced.  What they differ by in what is kept is one block's share, of which the model has 40.
The most is alive while the first of two blocks, the one with the audio injection, runs again and backward: nothing but
its own share is kept then, and the rest of the peak is the working set.  Gradients of trained parameters are let go as
soon as they are there: they are counted apart, with parameters and the optimiser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...cointeract_core.constants import (
    AUDIO_DIM,
    AUDIO_LAYERS,
    CLIP_TARGET_LATENTS,
    EXPERT_HIDDEN,
    LATENT_CHANNELS,
    LORA_RANK,
    MOTION_LATENTS,
    TEMPORAL_STRIDE,
    TEXT_TOKENS,
)
from ...cointeract_core.host.model.standalone import plain_dit
from .model14b import BACKBONE, DTYPE
from .tracing import Tracer, _Calls

LATENT_CELLS = (90, 60)  # 720x480, the size the authors train at
FEW, MORE = 2, 3  # blocks traced
BLOCKS = BACKBONE["num_layers"]
TRAINED_BYTES, GRADIENT_BYTES, ADAM_BYTES = 4, 4, 8  # float32 parameters, gradients, and two moments
ADAM_8BIT_BYTES = 2
FP8 = torch.float8_e4m3fn


@dataclass(frozen=True)
class Step:
    """One training step of the whole model.

    Attributes:
        tokens: main tokens, and those of the HOI stream.
        kept: bytes autograd keeps from the forward to the backward pass.
        boundaries: those of them that stand between blocks.
        aside: shapes of what of that offloading moves to the CPU, block by block.
        staying: bytes of what it leaves on the device: keys and values of prompt and speech.
        working: most bytes alive at once beside them, weights, gradients and the optimiser: what one block needs while
            it runs again and backward, and everything that is not per block.
    """

    tokens: tuple[int, int]
    kept: int
    boundaries: int
    aside: tuple[tuple[int, ...], ...]
    staying: int
    working: int


def trained_parameters(hoi: bool) -> int:
    """LoRA on every target, router and experts, and the HOI stream."""
    few, more = (sum(p.numel() for p in _model(blocks, hoi).trainable().values()) for blocks in (FEW, MORE))
    return few + (BLOCKS - FEW) * (more - few)


def trace_step(hoi: str, *, recompute: bool) -> Step:
    """A step at 720x480 and 81 frames with every condition.

    Args:
        hoi: `off`, `mutual` or `asymmetric`.
        recompute: run blocks again in the backward pass.
    """
    few, more = (_trace(blocks, hoi, "80gb" if recompute else "none") for blocks in (FEW, MORE))
    share = more["kept"] - few["kept"]
    whole = few["kept"] + (BLOCKS - FEW) * share
    aside = _trace(FEW, hoi, "48gb")["aside"]
    of_block = len(aside) // FEW
    moved = sum(math.prod(shape) * DTYPE.itemsize for shape in aside[-of_block:])
    staying = BLOCKS * max(share - moved, 0) if recompute else 0
    return Step(few["tokens"], whole, BLOCKS * share, tuple(aside[-of_block:]) * BLOCKS, staying, few["peak"] - share)


def page_locked(recipe: Any, step: Step) -> int:
    """Bytes PyTorch takes from the system for what waits in the CPU's memory, with a base in fp8."""
    from ...cointeract_core.training.step.pinned import PinnedMemory, power_of_two

    taken = []

    def allocate(size: int) -> Tensor:
        taken.append(power_of_two(size))
        return torch.empty(size, dtype=torch.uint8, device="meta")

    memory = PinnedMemory(torch.device("meta"), allocate)
    block = _model(1, False).dit.blocks[0]
    for _ in range(BLOCKS - round(BLOCKS * recipe.resident)):
        for parameter in block.parameters():
            memory.keep(parameter.to(FP8) if parameter.ndim == 2 else parameter)
    lent = [memory.lend(torch.empty(shape, dtype=DTYPE, device="meta")) for shape in step.aside if recipe.offload]
    return sum(taken) if lent or recipe.resident < 1 else 0


def _model(blocks: int, hoi: bool) -> Any:
    """The model with some of its blocks; all twelve audio injections are there, the first one is run."""
    from ...cointeract_core.training.settings.targets import TARGETS
    from ...cointeract_core.training.step.lora import LoraSet, choose_layers
    from ...cointeract_core.training.step.trainable import TrainableModel

    settings = {**BACKBONE, "num_layers": blocks}
    dit = plain_dit(settings, "meta", DTYPE, expert_hidden=EXPERT_HIDDEN, hoi_stream=hoi)
    with torch.device("meta"):
        lora = LoraSet(choose_layers(dit, tuple(TARGETS)), LORA_RANK, LORA_RANK, None)
    model = TrainableModel(dit, lora, targets=tuple(TARGETS), experts=True, hoi=hoi)
    for module in dit.modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True
    return model


def _trace(blocks: int, hoi: str, mode: str) -> dict[str, Any]:
    from ...cointeract_core.host.forms import LayerWeights
    from ...cointeract_core.host.model.dit import LEARNING_KERNELS
    from ...cointeract_core.model.forward import forward
    from ...cointeract_core.model.inputs import ClipInputs, HoiInputs
    from ...cointeract_core.model.prepare import prepare_clip
    from ...cointeract_core.training.settings.memory_modes import RECIPES
    from ...cointeract_core.training.step.memory import Memory

    model = _model(blocks, hoi != "off")
    for parameter in model.trainable().values():
        parameter.register_post_accumulate_grad_hook(_let_go)
    memory = Memory(RECIPES[mode], torch.device("meta"), model, LayerWeights)
    aside: list[tuple[int, ...]] = []
    memory._pinned.lend = lambda tensor: _noted(tensor, aside)

    def latents(frames: int) -> Tensor:
        return torch.empty(1, LATENT_CHANNELS, frames, *LATENT_CELLS, device="meta", dtype=DTYPE)

    def text() -> Tensor:
        return torch.empty(1, TEXT_TOKENS, BACKBONE["text_dim"], device="meta", dtype=DTYPE)

    target = latents(CLIP_TARGET_LATENTS)
    frames = CLIP_TARGET_LATENTS * TEMPORAL_STRIDE
    audio = torch.empty(1, AUDIO_LAYERS, AUDIO_DIM, frames, device="meta", dtype=DTYPE)
    clip = ClipInputs(text(), audio, latents(1), latents(1), 1.0, latents(MOTION_LATENTS), latents(CLIP_TARGET_LATENTS))
    time = torch.empty(1, device="meta")
    stream = None
    if hoi != "off":
        stream = HoiInputs(latents(CLIP_TARGET_LATENTS), text(), time, mutual=hoi == "mutual")
    kept = _Kept(model)
    with model.lora.attached(model.dit), _TrainingTracer() as tracer:
        with kept:
            constants = prepare_clip(model.dit, target, clip, stream)
            out = forward(
                model.dit,
                target,
                time,
                constants,
                LEARNING_KERNELS,
                gate=True,
                hoi=stream,
                want_logits=True,
                recompute=memory.recompute,
            )
            loss = out.video.float().square().mean() + torch.stack(out.router_logits).float().square().mean()
            loss = loss if out.hoi is None else loss + out.hoi.float().square().mean()
        layout = constants.scene.layout
        del out
        _backward(loss)
    tokens = (layout.main, layout.target if hoi != "off" else 0)
    return {"tokens": tokens, "kept": kept.bytes, "peak": tracer.measures.peak_bytes, "aside": aside}


def _noted(tensor: Tensor, aside: list[tuple[int, ...]]) -> Any:
    from ...cointeract_core.training.step.pinned import Lent

    aside.append(tuple(tensor.shape))
    return Lent(tensor.device, tensor)


def recipe(card: str) -> Any:
    """A memory mode by name."""
    from ...cointeract_core.training.settings.memory_modes import RECIPES

    return RECIPES[card]


def _backward(loss: Tensor) -> None:
    """Autograd's engine itself: `Tensor.backward` would leave the tracer's mode for as long as it runs."""
    from torch.autograd.graph import _engine_run_backward

    _engine_run_backward(
        (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
    )


def _let_go(parameter: Tensor) -> None:
    parameter.grad = None


class _Kept:
    """Bytes of everything autograd saves in ``with``, each memory once and parameters left out."""

    def __init__(self, model: nn.Module) -> None:
        self._own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
        self._seen: dict[int, Any] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def __enter__(self) -> _Kept:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)
        self.bytes = sum(self._seen.values())
        self._seen.clear()

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._own:
            self._seen[storage._cdata] = storage.nbytes()
        return tensor


class _TrainingCalls(_Calls):
    """As on CUDA, with a way back: fused attention and fused RMS norm keep what they keep there."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is F.rms_norm:
            return torch.ops.aten._fused_rms_norm(*_four(*args, **(kwargs or {})))[0]
        return super().__torch_function__(func, types, args, kwargs)


def _four(x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> tuple:
    return x, shape, weight, eps


class _TrainingTracer(Tracer):
    """A tracer that autograd can go back through."""

    def __init__(self) -> None:
        super().__init__()
        self._modes = (_TrainingCalls(self), self._modes[1])
