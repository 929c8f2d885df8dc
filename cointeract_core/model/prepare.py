"""Compute what stays the same over all steps of a clip: text and audio K/V, tables, condition tokens, modulation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..constants import (
    ADALN_EPS,
    MOTION_1X_LATENTS,
    MOTION_2X_LATENTS,
    MOTION_4X_LATENTS,
    MOTION_LATENTS,
    TEMPORAL_STRIDE,
    TYPE_MOTION,
    TYPE_REFERENCE,
    TYPE_TARGET,
)
from .checks import check_inputs, hoi_stream
from .inputs import AudioConstants, ClipConstants, ClipInputs, Dit, HoiConstants, HoiInputs, SceneConstants
from .layout import TokenLayout, make_layout
from .modulation import block_modulation, timestep_embedding
from .positions import Axes, rotation
from .reuse import samples_alike


def prepare_clip(dit: Dit, latents: Tensor, clip: ClipInputs, hoi: HoiInputs | None = None) -> ClipConstants:
    """Compute the constants of a clip.

    Args:
        dit: the host's S2V module with our extras.
        latents: noisy target `[B, 16, F, H, W]`; only its shape, dtype and device are read.
        clip: conditions, latents already in the model's scale.
        hoi: the HOI stream, or None.

    Raises:
        InputError: conditions of other sizes than the target, or that the model has no part for.
    """
    check_inputs(dit, latents, clip, hoi)
    text = _text(dit, clip.context)
    layout = _layout(latents, clip, hoi)
    clean = _project_zero(dit, latents)
    stream = None
    if hoi is not None and layout.hoi is not None:
        stream = _hoi(dit, latents, hoi, layout.hoi, clean, text)
    return ClipConstants(
        scene=_scene(dit, latents, clip, layout, clean),
        text=text,
        audio=_audio(dit, clip.audio, latents),
        hoi=stream,
    )


def _layout(latents: Tensor, clip: ClipInputs, hoi: HoiInputs | None) -> TokenLayout:
    count, latent_rows, latent_columns = latents.shape[2:]
    return make_layout(
        count,
        latent_rows,
        latent_columns,
        person=clip.person is not None,
        product_scale=clip.product_scale if clip.product is not None else None,
        motion=clip.motion is not None,
        hoi_latents=None if hoi is None else hoi.latents.shape[2],
    )


def _scene(dit: Dit, latents: Tensor, clip: ClipInputs, layout: TokenLayout, clean: Tensor) -> SceneConstants:
    device, dtype = latents.device, latents.dtype
    types = dit.trainable_cond_mask.weight.to(device=device, dtype=dtype)
    modulation = _stack([block.modulation for block in dit.blocks], latents)
    offset = _pose(dit, clip.pose, latents) + types[TYPE_TARGET]
    conditions = _conditions(dit, clip, types, latents)
    return SceneConstants(
        layout=layout,
        main_rotation=rotation(layout.axes, dit.dim // dit.num_heads, device, dtype),
        target_offset=_once(offset),
        condition_tokens=None if conditions is None else _once(conditions),
        modulation=modulation,
        clean=block_modulation(modulation, clean),
    )


def _hoi(
    dit: Dit, latents: Tensor, hoi: HoiInputs, axes: Axes, clean: Tensor, text: list[tuple[Tensor, Tensor]]
) -> HoiConstants:
    """Constants of the HOI stream, whose text is the main one where it has none of its own."""
    return HoiConstants(
        rotation=rotation([axes], dit.dim // dit.num_heads, latents.device, latents.dtype),
        modulation=block_modulation(_stack(list(hoi_stream(dit).modulation), latents), clean),
        text=text if hoi.context is None else _text(dit, hoi.context),
    )


def _once(tokens: Tensor) -> Tensor:
    """One sample where all of the batch are the same, as for both passes of guidance."""
    return tokens[:1] if samples_alike(tokens) else tokens


def _stack(parameters: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat([p.to(device=like.device, dtype=like.dtype) for p in parameters], dim=0)


def _project_zero(dit: Dit, latents: Tensor) -> Tensor:
    """Projected embedding of timestep 0, `[1, 6, D]`."""
    zero = torch.zeros(1, device=latents.device)
    embedding = dit.time_embedding(timestep_embedding(zero, dit.freq_dim).to(latents.dtype))
    projected: Tensor = dit.time_projection(embedding).unflatten(1, (6, dit.dim))
    return projected


def _text(dit: Dit, context: Tensor) -> list[tuple[Tensor, Tensor]]:
    embedded = dit.text_embedding(context)
    return [
        (block.cross_attn.norm_k(block.cross_attn.k(embedded)), block.cross_attn.v(embedded)) for block in dit.blocks
    ]


def embed_audio(dit: Dit, audio: Tensor, latents: int) -> tuple[Tensor, Tensor]:
    """Audio features to tokens of each latent.

    The reference repeats the first frame 73 times and drops 19 of the outputs (DIT:1137).  The convolutions are
    causal with a total stride of 4, so one repeated frame and one dropped output give the same values.

    Returns:
        global tokens `[B, F, 1, D]` and local tokens `[B, F, 5, D]`.
    """
    window = audio[..., : latents * TEMPORAL_STRIDE]  # nothing hears what follows
    prefixed = torch.cat([window[..., :1], window], dim=-1)
    global_tokens, local_tokens = dit.casual_audio_encoder(prefixed)
    return global_tokens[:, 1:], local_tokens[:, 1:]


def _audio(dit: Dit, audio: Tensor | None, latents: Tensor) -> dict[int, AudioConstants]:
    if audio is None:
        return {}
    audio = audio.to(latents.dtype).expand(latents.shape[0], -1, -1, -1)
    global_tokens, local_tokens = embed_audio(dit, audio, latents.shape[2])
    summary = F.silu(global_tokens.flatten(0, 1)[:, 0])
    local = local_tokens.flatten(0, 1)
    constants = {}
    for block, index in dit.audio_injector.injected_block_id.items():
        if block >= len(dit.blocks):
            continue
        injector = dit.audio_injector.injector[index]
        adaptation = dit.audio_injector.injector_adain_layers[index].linear(summary)
        shift, scale = adaptation[:, None].chunk(2, dim=2)
        constants[block] = AudioConstants(
            injector=injector,
            key=injector.norm_k(injector.k(local)),
            value=injector.v(local),
            shift=shift,
            scale=1 + scale,
        )
    return constants


def normalise_query(x: Tensor) -> Tensor:
    """The affine-free norm in front of an audio injection."""
    return F.layer_norm(x, x.shape[-1:], eps=ADALN_EPS)


def _pose(dit: Dit, pose: Tensor | None, latents: Tensor) -> Tensor:
    """Pose tokens; without a pose they are the encoder's answer to zeros, the same for every token."""
    if pose is None:
        shape = (1, dit.cond_encoder.in_channels, 1, *dit.patch_size[1:])
        pose = torch.zeros(shape, device=latents.device, dtype=latents.dtype)
    return dit.cond_encoder(pose.to(latents.dtype)).flatten(2).transpose(1, 2)


def embed_latents(dit: Dit, latents: Tensor) -> Tensor:
    """RGB latents to tokens `[B, N, D]`; the host keeps this convolution in float32."""
    return dit.patch_embedding(latents.float()).to(latents.dtype).flatten(2).transpose(1, 2)


def _conditions(dit: Dit, clip: ClipInputs, types: Tensor, latents: Tensor) -> Tensor | None:
    references = [image for image in (clip.person, clip.product) if image is not None]
    tokens = [embed_latents(dit, image.to(latents.dtype)) + types[TYPE_REFERENCE] for image in references]
    if clip.motion is not None:
        tokens += [group + types[TYPE_MOTION] for group in _motion(dit, clip.motion.to(latents.dtype))]
    if not tokens:
        return None
    return torch.cat([t.expand(latents.shape[0], -1, -1) for t in tokens], dim=1)


def _motion(dit: Dit, motion: Tensor) -> list[Tensor]:
    """The newest 19 motion latents in three groups, newest first (DIT:255-327)."""
    missing = MOTION_LATENTS - motion.shape[2]
    padded = F.pad(motion, (0, 0, 0, 0, max(missing, 0), 0))[:, :, -MOTION_LATENTS:]
    oldest, middle, newest = padded.split((MOTION_4X_LATENTS, MOTION_2X_LATENTS, MOTION_1X_LATENTS), dim=2)
    packer = dit.frame_packer
    packed = (packer.proj(newest), packer.proj_2x(middle), packer.proj_4x(oldest))
    return [group.flatten(2).transpose(1, 2) for group in packed]
