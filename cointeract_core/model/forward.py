"""The one forward of the CoInteract transformer, for sampling and for training.

Source: PIPE:2200-2400 (`model_fn_wans2v`), DIT:1000-1240.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..constants import EXPERTS_OFF_FROM, TYPE_TARGET
from .block import BlockOutput, BlockSettings, run_block
from .inputs import ClipConstants, DitOutput, HoiInputs, Kernels
from .modulation import block_rows, timestep_embedding
from .prepare import embed_latents


def experts_gate(timestep: Tensor, conditional: bool = True) -> Tensor | bool:
    """Whether the experts contribute: below timestep 900 only, and only in routed passes (DIT:658-710).

    One look at the timesteps before the block loop; True or False for the whole batch, or `[B, 1, 1]` of 0 and 1
    where its samples differ.
    """
    on = [conditional and value < EXPERTS_OFF_FROM for value in timestep.tolist()]
    if all(on) or not any(on):
        return all(on)
    return torch.tensor(on, device=timestep.device)[:, None, None]


def forward(
    dit: Any,
    latents: Tensor,
    timestep: Tensor,
    clip: ClipConstants,
    kernels: Kernels,
    *,
    gate: Tensor | bool,
    face_mask: Tensor | str | None = None,
    hoi: HoiInputs | None = None,
    want_logits: bool = False,
    options: dict[str, Any] | None = None,
) -> DitOutput:
    """Predict the flow of the target (and of the HOI stream).

    Args:
        dit: the host's S2V module with `experts` (a list, or None) and `hoi` (or None).
        latents: noisy target `[B, 16, F, H, W]`, H and W even.
        timestep: `[B]`, 0-1000.
        clip: from `prepare_clip` with the same shapes.
        gate: from `experts_gate`.
        face_mask: keeps speech to the face: "router", or `[B, N]` of 0 and 1.
        hoi: the HOI stream of a training step.
        want_logits: return router logits of every block.
        options: the host's transformer options; block replacements in them are honoured.
    """
    options = options or {}
    embedding = dit.time_embedding(timestep_embedding(timestep, dit.freq_dim).to(latents.dtype))
    target_rows = block_rows(clip.modulation, dit.time_projection(embedding).unflatten(1, (6, dit.dim)))
    main = embed_latents(dit, latents) + clip.pose_tokens
    main = main + clip.type_rows[TYPE_TARGET]
    if clip.condition_tokens is not None:
        main = torch.cat([main, clip.condition_tokens], dim=1)
    hoi_tokens = dit.hoi.embed(hoi.latents) if hoi is not None else None
    settings = BlockSettings(kernels, options, gate, want_logits, face_mask, hoi is not None and hoi.mutual)

    logits = []
    for index, block in enumerate(dit.blocks):
        experts = dit.experts[index] if dit.experts is not None else None
        out = _replaceable(index, block, experts, main, hoi_tokens, target_rows[index], clip, settings)
        main, hoi_tokens = out.main, out.hoi
        if out.logits is not None and want_logits:
            logits.append(out.logits)

    grid = (clip.layout.frames, clip.layout.height, clip.layout.width)
    video = dit.unpatchify(dit.head(main[:, : clip.layout.target], embedding), grid)
    if hoi is None:
        return DitOutput(video, None, logits)
    if hoi.timestep is not None:
        embedding = dit.time_embedding(timestep_embedding(hoi.timestep, dit.freq_dim).to(latents.dtype))
    hoi_grid = (hoi.latents.shape[2], *grid[1:])
    return DitOutput(video, dit.unpatchify(dit.hoi.head(hoi_tokens, embedding), hoi_grid), logits)


def _replaceable(
    index: int,
    block: Any,
    experts: Any,
    main: Tensor,
    hoi: Tensor | None,
    rows: Any,
    clip: ClipConstants,
    settings: BlockSettings,
) -> BlockOutput:
    """Run a block, or the replacement another node pack registered for it (``patches_replace["dit"]``)."""
    replacement = settings.options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))
    if replacement is None:
        return run_block(index, block, experts, main, hoi, rows, clip, settings)
    last: list[BlockOutput] = []

    def original(args: dict[str, Any]) -> dict[str, Any]:
        last[:] = [run_block(index, block, experts, args["img"], hoi, rows, clip, settings)]
        return {"img": last[0].main}

    args = {"img": main, "txt": clip.text[index], "vec": rows, "pe": clip.main_table}
    replaced = replacement(args, {"original_block": original})["img"]
    if last:
        return BlockOutput(replaced, last[0].hoi, last[0].logits)
    return BlockOutput(replaced, hoi, None)


def tokens_of(latents: Tensor) -> int:
    """Tokens of a latent tensor `[B, 16, F, H, W]` with patch (1, 2, 2)."""
    return math.prod(latents.shape[2:]) // 4
