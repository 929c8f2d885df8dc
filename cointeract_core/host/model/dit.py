"""The host's Wan2.2-S2V transformer with our extras and our forward.

The parameter tree, the embeddings and the head are the host's; token layout, positions, block loop, experts and the
HOI stream are ours (`cointeract_core.model`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import comfy.ldm.common_dit
import comfy.ldm.wan.model
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_management import throw_exception_if_processing_interrupted
from torch import Tensor, nn

from ...model.block import RouterAnswer, Tokens, run_block
from ...model.experts import HumanAwareExperts
from ...model.forward import Recompute, forward, read_timestep
from ...model.hoi import HoiStream
from ...model.inputs import ClipInputs, DitOutput, HoiInputs, Kernels
from ...model.parts import Device, Operations, Options
from ...model.prepare import prepare_clip
from ..forms import LayerWeights, attention_with_gradient, extras_operations
from .clip_cache import constants_for
from .context_windows import in_window
from .fp8_experts import ScaledExperts


def stop_if_asked() -> None:
    """Leave the forward where the user has interrupted: on a small card one step takes minutes."""
    if not torch.compiler.is_compiling():
        throw_exception_if_processing_interrupted()


class CoInteractBlock(comfy.ldm.wan.model.WanAttentionBlock):
    """The host's block with our order of work; a module of its own, so that nodes that compile blocks find it."""

    def forward(self, experts: HumanAwareExperts | None, tokens: Tokens, *conditions: Any, **how: Any) -> RouterAnswer:
        """See `model.block.run_block`."""
        return run_block(self, experts, tokens, *conditions, **how)


class FirstBlock(CoInteractBlock):
    """As any other, with a function of its own.

    PyTorch compiles eight versions of one function and then gives up.  Experts on and off, clips with motion frames
    and without, passes in one batch and in two are that many; the first block's known attention would come on top.
    """

    def forward(self, experts: HumanAwareExperts | None, tokens: Tokens, *conditions: Any, **how: Any) -> RouterAnswer:
        """See `model.block.run_block`."""
        return run_block(self, experts, tokens, *conditions, **how)


class LastBlock(CoInteractBlock):
    """As any other, with a function of its own, for it leaves out what nothing reads; see `FirstBlock`."""

    def forward(self, experts: HumanAwareExperts | None, tokens: Tokens, *conditions: Any, **how: Any) -> RouterAnswer:
        """See `model.block.run_block`."""
        return run_block(self, experts, tokens, *conditions, **how)


KERNELS = Kernels(attention=optimized_attention, weights=LayerWeights, before_block=stop_if_asked)
LEARNING_KERNELS = replace(KERNELS, attention=attention_with_gradient)


class Extras(nn.Module):
    """Experts and HOI stream under one prefix, `cointeract.`, so that backbone names stay the host's."""

    def __init__(
        self,
        dim: int,
        channels: int,
        layers: int,
        *,
        expert_hidden: int,
        hoi: bool,
        plain_marker: bool,
        experts_fp8: bool,
        operations: Operations,
        device: Device,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        if expert_hidden:
            # the host's class behind ours is unknown to a type checker, so it cannot see that these are such classes
            kind = cast(Operations, ScaledExperts) if experts_fp8 else operations
            self.experts = nn.ModuleList(
                HumanAwareExperts(dim, expert_hidden, operations=kind, device=device, dtype=dtype)
                for _ in range(layers)
            )
        if hoi:
            self.hoi = HoiStream(dim, channels, layers, operations=operations, device=device, dtype=dtype)
        if plain_marker:
            self.register_buffer("plain", torch.zeros(1))


class CoInteractDiT(comfy.ldm.wan.model.WanModel_S2V):
    """Wan2.2-S2V with Human-Aware experts and, for training, the HOI stream.

    Args:
        expert_hidden: width of the experts, 0 for the plain backbone.
        hoi_stream: whether to build the HOI stream.
        extras_dtype: dtype the extras are kept in whatever the base's precision.
        plain_marker: keep the marker tensor of a base without adapter.
        experts_fp8: keep router and experts in float8.
    """

    def __init__(
        self,
        *args: Any,
        expert_hidden: int = 0,
        hoi_stream: bool = False,
        extras_dtype: torch.dtype | None = None,
        plain_marker: bool = False,
        experts_fp8: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        operations: Operations | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, device=device, dtype=dtype, operations=operations, **kwargs)
        kinds = [FirstBlock, *[CoInteractBlock] * (len(self.blocks) - 2), LastBlock]
        for block, kind in zip(self.blocks, kinds, strict=False):  # a damaged file may have one block, or none
            block.__class__ = kind  # the host's constructor does not let S2V choose
        self.cointeract = Extras(
            self.dim,
            self.in_dim,
            self.num_layers,
            expert_hidden=expert_hidden,
            hoi=hoi_stream,
            plain_marker=plain_marker,
            experts_fp8=experts_fp8,
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
        options: Options | None = None,
        recompute: Recompute | None = None,
        learning: bool = False,
    ) -> DitOutput:
        """One whole forward from conditions; see `model.forward.forward`.

        Args:
            learning: of training and its validation loss: with kernels that gradients go through, on every machine
                the same.
        """
        constants = prepare_clip(self, latents, clip, hoi)
        timestep, gate = read_timestep(timestep, conditional)
        return forward(
            self,
            latents,
            timestep,
            constants,
            LEARNING_KERNELS if learning else KERNELS,
            gate=gate,
            face_mask=clip.face_mask,
            hoi=hoi,
            want_logits=want_logits,
            options=options,
            recompute=recompute,
        )

    def _forward(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor,
        clip_fea: Tensor | None = None,
        time_dim_concat: Tensor | None = None,
        transformer_options: Options | None = None,
        **conds: Any,
    ) -> Tensor:
        """The host's entry: pad to whole patches, predict, crop. `clip_fea` and `time_dim_concat` are not S2V's."""
        latents, rows, columns = x.shape[2:]
        padded = comfy.ldm.common_dit.pad_to_patch_size(x, self.patch_size)
        out = self.forward_orig(padded, timestep, context, transformer_options=transformer_options, **conds)
        return out[:, :, :latents, :rows, :columns]

    def forward_orig(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor,
        audio_embed: Tensor | None = None,
        reference_latent: Tensor | None = None,
        control_video: Tensor | None = None,
        reference_motion: Tensor | None = None,
        product_latent: Tensor | None = None,
        product_scale: float = 1.0,
        face_mask: Tensor | str | None = None,
        transformer_options: Options | None = None,
        **unused: object,
    ) -> Tensor:
        """Predict the target's flow from the host's condition names, `[B, 16, F, H, W]`."""
        options = transformer_options or {}
        clip = ClipInputs(
            context=context,
            audio=audio_embed,
            person=_whole_patches(reference_latent, self.patch_size),
            product=_whole_patches(product_latent, self.patch_size),
            product_scale=product_scale,
            motion=_whole_patches(reference_motion, self.patch_size),
            pose=_whole_patches(control_video, self.patch_size),
            face_mask=face_mask,
        )
        clip = in_window(clip, x, options)
        constants, reuse = constants_for(options, x, lambda: prepare_clip(self, x, clip))
        timestep, gate = read_timestep(t.flatten()[: x.shape[0]])
        return forward(
            self, x, timestep, constants, KERNELS, gate=gate, face_mask=clip.face_mask, options=options, reuse=reuse
        ).video


def _whole_patches(latents: Tensor | None, patch_size: tuple[int, ...]) -> Tensor | None:
    return None if latents is None else comfy.ldm.common_dit.pad_to_patch_size(latents, patch_size)
