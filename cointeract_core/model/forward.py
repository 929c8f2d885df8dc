"""The one forward of the CoInteract transformer, for sampling and for training.

Source: PIPE:2200-2400 (`model_fn_wans2v`), DIT:1000-1240.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ..constants import EXPERTS_OFF_FROM
from .block import BlockSettings, RouterAnswer, Tokens, attend_to_self, inject_audio, read_patches, run_part
from .experts import make_bias_units
from .inputs import ClipConstants, DitOutput, HoiInputs, Kernels
from .modulation import Rows, block_rows, timestep_embedding
from .prepare import embed_latents
from .reuse import StepReuse, StepTime


class Recompute(Protocol):
    """How training runs blocks."""

    def block(self, tokens: Tokens, step: Callable[[Tokens], RouterAnswer]) -> RouterAnswer:
        """Do `step` to the tokens, keeping as little as possible for the backward pass."""

    def part(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a part of a block, likewise."""


def read_timestep(timestep: Tensor, conditional: bool = True) -> tuple[Tensor, Tensor | bool]:
    """The timestep, once where the batch shares it, and whether the experts contribute.

    They do below timestep 900, and only in routed passes (DIT:658-710). This and the comparisons of `reuse.py` are the
    only looks at values of the device, all in front of the blocks.

    Args:
        timestep: `[B]`, 0-1000.
        conditional: False for a pass without experts.

    Returns:
        the timestep `[B]` or `[1]`; and True or False for the whole batch, or `[B, 1, 1]` where samples differ.
    """
    values = timestep.tolist()
    on = [conditional and value < EXPERTS_OFF_FROM for value in values]
    shared = timestep[:1] if len(set(values)) == 1 else timestep
    if all(on) or not any(on):
        return shared, all(on)
    return shared, torch.tensor(on, device=timestep.device)[:, None, None]


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
    recompute: Recompute | None = None,
    reuse: StepReuse | None = None,
) -> DitOutput:
    """Predict the flow of the target (and of the HOI stream).

    Args:
        dit: the host's S2V module with `experts` (a list, or None) and `hoi` (or None), whose blocks run `run_block`.
        latents: noisy target `[B, 16, F, H, W]`, H and W even.
        timestep: `[B]` or, shared by the batch, `[1]`; 0-1000.
        clip: from `prepare_clip` with the same shapes.
        gate: from `read_timestep`.
        face_mask: keeps speech to the face: "router" (its probability), or `[B or 1, target tokens]` of 0 and 1.
        hoi: the HOI stream of a training step.
        want_logits: return router logits of every block.
        options: the host's transformer options; the patches and block replacements of other packs in them are honoured.
        recompute: runs blocks, and the parts of each, in a way that saves memory for training.
        reuse: of the sampling run, where the other pass of this step may have done a part of the work.
    """
    options = options or {}
    time = _read_time(dit, timestep, latents, clip, reuse)
    settings = BlockSettings(
        kernels=kernels,
        options=options,
        experts_gate=gate,
        logits=want_logits,
        face=isinstance(face_mask, str),
        mutual=hoi is not None and hoi.mutual,
        patches={} if hoi is not None else read_patches(options),
        bias_units=make_bias_units(latents) if dit.experts is not None and gate is not False else None,
        part=run_part if recompute is None else recompute.part,
    )
    options |= {"total_blocks": len(dit.blocks), "block_type": "double", "block_index": 0}  # as the host tells patches
    # a pack that replaces the first block, or patches its attention, may do something else in each pass
    plain = _replacement(options, 0) is None and "attn1_patch" not in settings.patches
    attended = reuse is not None and hoi is None and plain and len(dit.blocks) > 1
    if attended:
        tokens = Tokens(_reused_attention(dit, latents, timestep, time.rows[0], clip, settings, reuse), None)
    else:
        tokens = Tokens(_main_tokens(dit, latents, clip), dit.hoi.embed(hoi.latents) if hoi is not None else None)
    logits = []
    for index in range(len(dit.blocks)):
        done = attended and index == 0
        step = partial(_block_step, dit, index, time, latents, clip, settings, face_mask, done)
        answer = step(tokens) if recompute is None else recompute.block(tokens, step)
        if want_logits and answer.logits is not None:
            logits.append(answer.logits)

    layout = clip.scene.layout
    grid = (layout.frames, layout.height, layout.width)
    video = dit.unpatchify(dit.head(tokens.main[:, : layout.target], time.embedding), grid)
    if hoi is None:
        return DitOutput(video, None, logits)
    embedding = time.embedding if hoi.timestep is None else _embed_timestep(dit, hoi.timestep, latents)
    hoi_grid = (hoi.latents.shape[2], *grid[1:])
    return DitOutput(video, dit.unpatchify(dit.hoi.head(tokens.hoi, embedding), hoi_grid), logits)


def _read_time(dit: Any, timestep: Tensor, latents: Tensor, clip: ClipConstants, reuse: StepReuse | None) -> StepTime:
    def build() -> StepTime:
        embedding = _embed_timestep(dit, timestep, latents)
        projected = dit.time_projection(embedding).unflatten(1, (6, dit.dim))
        return StepTime(embedding, block_rows(clip.scene.modulation, projected))

    return build() if reuse is None else reuse.time(timestep, build)


def _reused_attention(
    dit: Any,
    latents: Tensor,
    timestep: Tensor,
    rows: Rows,
    clip: ClipConstants,
    settings: BlockSettings,
    reuse: StepReuse,
) -> Tensor:
    """Main tokens behind the first block's self-attention, computed once a step."""

    def build() -> Tensor:
        tokens = Tokens(_main_tokens(dit, latents, clip), None)
        attend_to_self(dit.blocks[0], tokens, rows, clip.of_block(0), settings)
        return tokens.main

    return reuse.attended(latents, timestep, clip.scene, build)


def _embed_timestep(dit: Any, timestep: Tensor, latents: Tensor) -> Tensor:
    return dit.time_embedding(timestep_embedding(timestep, dit.freq_dim).to(latents.dtype))


def _main_tokens(dit: Any, latents: Tensor, clip: ClipConstants) -> Tensor:
    conditions = clip.scene.condition_tokens
    target = embed_latents(dit, latents) + clip.scene.target_offset
    return target if conditions is None else torch.cat([target, conditions.expand(len(target), -1, -1)], dim=1)


def _block_step(
    dit: Any,
    index: int,
    time: StepTime,
    latents: Tensor,
    clip: ClipConstants,
    settings: BlockSettings,
    face_mask: Tensor | str | None,
    attended: bool,
    tokens: Tokens,
) -> RouterAnswer:
    """A block, what other packs do behind it, and the speech that enters after it."""
    settings.kernels.before_block()
    settings.options["block_index"] = index
    answer = _run_replaceable(dit, index, tokens, time.rows[index], clip, settings, attended)
    for patch in settings.patches.get("double_block", ()):
        told = {"x": latents, "vec": time.embedding, "block_index": index, "img_offset": 0}
        tokens.main = patch({"img": tokens.main, **told, "transformer_options": settings.options})["img"]
    if index in clip.audio:
        mask = answer.face if settings.face else face_mask
        tokens.main = inject_audio(tokens.main, clip.audio[index], clip.scene.layout.target, mask, settings)
    return answer


def _replacement(options: dict[str, Any], index: int) -> Any:
    """What another node pack registered to run instead of a block (``patches_replace["dit"]``), or None."""
    return options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))


def _run_replaceable(
    dit: Any,
    index: int,
    tokens: Tokens,
    rows: Rows,
    clip: ClipConstants,
    settings: BlockSettings,
    attended: bool,
) -> RouterAnswer:
    """Run a block, or its replacement."""
    block, own = dit.blocks[index], clip.of_block(index)
    experts = dit.experts[index] if dit.experts is not None else None
    replacement = _replacement(settings.options, index)
    if replacement is None:
        last = index == len(dit.blocks) - 1 and not settings.patches
        return block(experts, tokens, rows, own, settings, target_only=last, attended=attended)
    answers = [RouterAnswer()]

    def original(args: dict[str, Any]) -> dict[str, Any]:
        tokens.main = args["img"]
        answers.append(block(experts, tokens, rows, own, settings))
        return {"img": tokens.main}

    args = {"img": tokens.main, "txt": own.text, "vec": rows, "pe": own.main_rotation.turn}
    args["transformer_options"] = settings.options
    tokens.main = replacement(args, {"original_block": original})["img"]
    return answers[-1]
