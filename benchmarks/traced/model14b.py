"""The published model at its real size on the `meta` device, and one traced forward of it and of the host's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...cointeract_core.constants import (
    AUDIO_DIM,
    AUDIO_INJECT_LAYERS,
    AUDIO_LAYERS,
    CLIP_TARGET_LATENTS,
    EXPERT_HIDDEN,
    LATENT_CHANNELS,
    MOTION_LATENTS,
    TEMPORAL_STRIDE,
    TEXT_TOKENS,
)
from ...cointeract_core.host.model.standalone import plain_dit, plain_s2v, settle_device, use_torch_attention
from .places import telling
from .tracing import Measures, Tracer

BACKBONE = {
    "model_type": "s2v",
    "dim": 5120,
    "in_dim": LATENT_CHANNELS,
    "out_dim": LATENT_CHANNELS,
    "ffn_dim": 13824,
    "text_dim": 4096,
    "freq_dim": 256,
    "num_heads": 40,
    "num_layers": 40,
    "cond_dim": LATENT_CHANNELS,
    "audio_dim": AUDIO_DIM,
    "num_audio_token": 4,
    "audio_inject_layers": list(AUDIO_INJECT_LAYERS),
}
SIZES = {"480p": (104, 60), "720p": (160, 90)}  # latent cells of 832x480 and 1280x720
DTYPE = torch.bfloat16


@dataclass(frozen=True)
class Traced:
    """One forward: what it did, its main sequence, and what it keeps from forward to forward."""

    tokens: int
    measures: Measures
    rotation_bytes_per_token: float
    scene_bytes: int = 0  # kept for the clip whatever the pass, without
    pose_bytes: int = 0  # the tokens of a pose
    pass_bytes: int = 0  # kept for the clip by each pass
    sequence_bytes: int = 0  # of one hidden state of the main sequence
    constant_projections: int = 0  # layers whose input is the text or the speech alone, run again in this forward
    router_calls: int = 0


def set_up(cpu: bool = True) -> None:
    """Settle the host; call this before anything else here."""
    settle_device(cpu=cpu)
    use_torch_attention()


def build_ours(experts: bool = True) -> Any:
    """CoInteract without memory."""
    return plain_dit(BACKBONE, "meta", DTYPE, expert_hidden=EXPERT_HIDDEN if experts else 0)


def build_host() -> Any:
    """The host's own Wan2.2-S2V without memory; it knows neither product nor experts."""
    return plain_s2v(BACKBONE, "meta", DTYPE)


def parameters(model: Any) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def trace_ours(dit: Any, size: str, *, routed: bool = True, second: bool = False) -> Traced:
    """A forward of a clip after the first (motion, pose, person, product), its constants computed before.

    Args:
        size: of `SIZES`.
        routed: below timestep 900, where the experts contribute.
        second: the other pass of guidance has just been run.
    """
    from ...cointeract_core.host.model.dit import KERNELS
    from ...cointeract_core.model.forward import forward
    from ...cointeract_core.model.inputs import ClipInputs
    from ...cointeract_core.model.prepare import prepare_clip

    inputs = _inputs(size)
    clip = ClipInputs(
        context=inputs["context"],
        audio=inputs["audio"],
        person=inputs["picture"],
        product=inputs["picture"],
        motion=inputs["motion"],
        pose=inputs["latents"],
    )
    with torch.no_grad():
        constants = prepare_clip(dit, inputs["latents"], clip)
        reuse = _first_pass(dit, inputs, constants) if second else None
        with _Calls(dit) as calls, Tracer() as tracer, telling(dit, tracer):
            forward(dit, inputs["latents"], inputs["timestep"], constants, KERNELS, gate=routed, reuse=reuse)
    turn, quarter = constants.scene.main_rotation.turn, constants.scene.main_rotation.quarter
    table = sum(tensor.nbytes for tensor in (turn, quarter) if tensor is not None)
    tokens = constants.scene.layout.main
    return Traced(
        tokens,
        tracer.measures,
        table / tokens,
        _bytes(constants.scene) - constants.scene.target_offset.nbytes,
        constants.scene.target_offset.nbytes,
        _bytes([constants.text, constants.audio]),
        tokens * dit.dim * DTYPE.itemsize,
        calls.constant,
        calls.router,
    )


def _first_pass(dit: Any, inputs: dict[str, Tensor], constants: Any) -> Any:
    """What the first pass of a step leaves to the second."""
    from ...cointeract_core.host.model.dit import KERNELS
    from ...cointeract_core.model.forward import forward
    from ...cointeract_core.model.reuse import StepReuse

    class Kept(StepReuse):
        """Without the comparisons of numbers, of which this device has none."""

        def time(self, timestep: Tensor, build: Any) -> Any:
            self.kept_time = getattr(self, "kept_time", None) or build()
            return self.kept_time

        def attended(self, latents: Tensor, timestep: Tensor, scene: Any, build: Any) -> Tensor:
            if not hasattr(self, "kept_tokens"):
                self.kept_tokens = build()
            return self.kept_tokens

    reuse = Kept()
    forward(dit, inputs["latents"], inputs["timestep"], constants, KERNELS, gate=True, reuse=reuse)
    return reuse


def _bytes(constants: Any) -> int:
    from ...cointeract_core.host.model.clip_cache import tensors_in

    return sum(tensor.nbytes for tensor in tensors_in(constants))


def trace_host(dit: Any, size: str) -> Traced:
    """The same clip without product and experts through the host's own forward."""
    inputs = _inputs(size)
    with torch.no_grad(), _Calls(dit) as calls, Tracer() as tracer:
        dit(
            inputs["latents"],
            inputs["timestep"],
            inputs["context"],
            audio_embed=inputs["audio"],
            reference_latent=inputs["picture"],
            control_video=inputs["latents"],
            reference_motion=inputs["motion"],
        )
    return Traced(calls.tokens, tracer.measures, 0.0, constant_projections=calls.constant, router_calls=calls.router)


def _inputs(size: str) -> dict[str, Tensor]:
    height, width = SIZES[size]

    def latents(frames: int) -> Tensor:
        return torch.empty(1, LATENT_CHANNELS, frames, height, width, device="meta", dtype=DTYPE)

    return {
        "latents": latents(CLIP_TARGET_LATENTS),
        "picture": latents(1),
        "motion": latents(MOTION_LATENTS),
        "context": torch.empty(1, TEXT_TOKENS, BACKBONE["text_dim"], device="meta", dtype=DTYPE),
        "audio": torch.empty(
            1, AUDIO_LAYERS, AUDIO_DIM, CLIP_TARGET_LATENTS * TEMPORAL_STRIDE, device="meta", dtype=DTYPE
        ),
        "timestep": torch.empty(1, device="meta"),
    }


class _Calls:
    """Count calls of layers in ``with``: what a forward needs not do, or not twice."""

    def __init__(self, dit: Any) -> None:
        self.constant = self.router = self.tokens = 0
        self._hooks = [dit.blocks[0].self_attn.k.register_forward_pre_hook(self._see_tokens)]
        text = [block.cross_attn.k for block in dit.blocks]
        speech = [injector.k for injector in dit.audio_injector.injector]
        self._hooks += [layer.register_forward_pre_hook(self._see_constant) for layer in text + speech]
        for experts in getattr(dit, "experts", None) or ():
            layers = (experts.router, experts.hand.fc1, experts.face.fc1)
            self._hooks += [layer.register_forward_pre_hook(self._see_router) for layer in layers]

    def __enter__(self) -> _Calls:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _see_tokens(self, _module: Any, args: tuple[Tensor, ...]) -> None:
        self.tokens = args[0].shape[1]

    def _see_constant(self, _module: Any, _args: tuple[Tensor, ...]) -> None:
        self.constant += 1

    def _see_router(self, _module: Any, _args: tuple[Tensor, ...]) -> None:
        self.router += 1
