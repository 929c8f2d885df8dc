"""The host's Wan2.2-S2V transformer with our extras and our forward.

The parameter tree, the embeddings and the head are the host's; token layout, positions, block loop, experts and the
HOI stream are ours (`cointeract_core.model`).
"""

from __future__ import annotations

from typing import Any

import comfy.ldm.wan.model
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

from ..model.experts import HumanAwareExperts
from ..model.forward import experts_gate, forward
from ..model.hoi import HoiStream
from ..model.inputs import ClipInputs, DitOutput, HoiInputs, Kernels
from ..model.prepare import prepare_clip
from .compat import extras_operations

KERNELS = Kernels(attention=optimized_attention)


class Extras(nn.Module):
    """Experts and HOI stream under one prefix, `cointeract.`, so that backbone names stay the host's."""

    def __init__(
        self, dim: int, channels: int, layers: int, *, expert_hidden: int, hoi: bool, operations: Any, **factory: Any
    ) -> None:
        super().__init__()
        if expert_hidden:
            self.experts = nn.ModuleList(
                HumanAwareExperts(dim, expert_hidden, operations=operations, **factory) for _ in range(layers)
            )
        if hoi:
            self.hoi = HoiStream(dim, channels, layers, operations=operations, **factory)


class CoInteractDiT(comfy.ldm.wan.model.WanModel_S2V):
    """Wan2.2-S2V with Human-Aware experts and, for training, the HOI stream.

    Args:
        expert_hidden: width of the experts, 0 for the plain backbone.
        hoi_stream: whether to build the HOI stream.
        extras_dtype: dtype the extras are kept in whatever the base's precision.
    """

    def __init__(
        self,
        *args: Any,
        expert_hidden: int = 0,
        hoi_stream: bool = False,
        extras_dtype: Any = None,
        device: Any = None,
        dtype: Any = None,
        operations: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, device=device, dtype=dtype, operations=operations, **kwargs)
        self.cointeract = Extras(
            self.dim,
            self.in_dim,
            self.num_layers,
            expert_hidden=expert_hidden,
            hoi=hoi_stream,
            operations=extras_operations(operations),
            device=device,
            dtype=extras_dtype or dtype,
        )

    @property
    def experts(self) -> nn.ModuleList | None:
        """Experts per block, or None for the plain backbone."""
        return getattr(self.cointeract, "experts", None)

    @property
    def hoi(self) -> HoiStream | None:
        """The HOI stream, or None."""
        return getattr(self.cointeract, "hoi", None)

    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        clip: ClipInputs,
        *,
        hoi: HoiInputs | None = None,
        conditional: bool = True,
        want_logits: bool = False,
        options: dict[str, Any] | None = None,
    ) -> DitOutput:
        """One whole forward from conditions; see `model.forward.forward`."""
        constants = prepare_clip(self, latents, clip, hoi)
        return forward(
            self,
            latents,
            timestep,
            constants,
            KERNELS,
            gate=experts_gate(timestep, conditional),
            face_mask=clip.face_mask,
            hoi=hoi,
            want_logits=want_logits,
            options=options,
        )
