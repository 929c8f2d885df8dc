"""Video memory of sampling at 14B, on the `meta` device: weights that stay, what a clip keeps, a pass at its peak.

The sum is what tensors need. A process adds its CUDA context and gaps between tensors, 0.6 to 1 GB as a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...cointeract_core.checkpoint.keys import EXPERT_KEY, EXPERT_WIDTH_KEY
from ...cointeract_core.constants import CLIP_TARGET_LATENTS, EXPERT_HIDDEN, LATENT_CHANNELS, MOTION_LATENTS
from ...cointeract_core.host.model.parking import is_parked
from ...cointeract_core.host.model.standalone import plain_patcher
from .model14b import BACKBONE, DTYPE, SIZES, Traced

PASSES = 2  # of guidance
MATRIX_BYTES = {"bf16": 2, "fp8": 1}  # of a layer's weight matrix; everything else stays bf16


@dataclass(frozen=True)
class Weights:
    """Bytes of the model's parameters in one precision."""

    whole: int
    resident: int


def build_base_model() -> Any:
    """The host's model around our transformer, without memory."""
    extras = {
        EXPERT_KEY: torch.empty(0, device="meta", dtype=DTYPE),
        EXPERT_WIDTH_KEY: torch.empty(EXPERT_HIDDEN, 1, device="meta", dtype=DTYPE),
    }
    return plain_patcher(BACKBONE, extras, DTYPE, "meta").model


def parked_parameters(model: Any) -> int:
    """Parameters that only make constants."""
    return sum(parameter.numel() for name, parameter in _layers(model) if is_parked(name))


def weights(model: Any, precision: str) -> Weights:
    """Bytes with `precision` for every weight matrix."""
    sizes = {True: 0, False: 0}
    for name, parameter in _layers(model):
        matrix = parameter.ndim == 2 and min(parameter.shape) > 3
        sizes[is_parked(name)] += parameter.numel() * (MATRIX_BYTES[precision] if matrix else 2)
    return Weights(sum(sizes.values()), sizes[False])


def _layers(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Parameters by the name of their layer."""
    for name, parameter in model.named_parameters():
        yield name.rpartition(".")[0], parameter


def estimate(model: Any, size: str) -> float:
    """What the host is told a pass of a later clip with product and motion frames needs."""
    height, width = SIZES[size]
    picture = [1, LATENT_CHANNELS, 1, height, width]
    conds = {"reference_latent": [picture], "product_latent": [picture]}
    conds["reference_motion"] = [[1, LATENT_CHANNELS, MOTION_LATENTS, height, width]]
    return model.memory_of_tokens([1, LATENT_CHANNELS, CLIP_TARGET_LATENTS, height, width], conds)


def pass_memory(traced: Traced) -> int:
    """Peak of a pass, constants of both passes, and the first block's attention kept between them; without a pose."""
    return traced.measures.peak_bytes + PASSES * traced.pass_bytes + traced.scene_bytes + traced.sequence_bytes


def report(model: Any, routed: dict[str, Traced], second: dict[str, Traced]) -> dict[str, Any]:
    """Everything of this file as plain values.

    Args:
        model: from `build_base_model`.
        routed: a pass by size.
        second: the pass after it, by size.
    """
    kinds = {precision: weights(model, precision) for precision in MATRIX_BYTES}
    sizes = {}
    for size, traced in routed.items():
        beside = pass_memory(traced)
        saved = 1 - (traced.measures.flops + second[size].measures.flops) / (2 * traced.measures.flops)
        sizes[size] = {
            "peak of a pass": traced.measures.peak_bytes,
            "constants of a clip": PASSES * traced.pass_bytes + traced.scene_bytes,
            "pose tokens": traced.pose_bytes,
            "first attention": traced.sequence_bytes,
            "estimate for the host": estimate(model, size),
            "FLOPs saved by sharing it": saved,
            "video memory": {precision: found.resident + beside for precision, found in kinds.items()},
        }
    return {
        "parameters parked": parked_parameters(model),
        "weights": {name: {"whole": found.whole, "resident": found.resident} for name, found in kinds.items()},
        "sizes": sizes,
    }
