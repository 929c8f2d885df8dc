"""The one forward of the CoInteract transformer, for sampling and for training.

Source: PIPE:2200-2400 (`model_fn_wans2v`), DIT:1000-1240.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from ..constants import EXPERTS_OFF_FROM
from .block import Block, RouterAnswer, Tokens, attend_to_self, inject_audio
from .block_settings import BlockSettings, Routing, read_patches, run_part
from .checks import hoi_stream
from .experts import make_bias_units
from .inputs import ClipConstants, Dit, DitOutput, HoiInputs, Kernels
from .modulation import Modulation, block_modulation, timestep_embedding
from .parts import Listed, Options
from .prepare import embed_latents
from .reuse import StepReuse, StepTime

T = TypeVar("T")
Replacement: TypeAlias = Callable[[Options, Options], Options]  # another pack's: what a block reads, the block itself


class RunningDit(Dit, Protocol):
    """`Dit` whose blocks are called, as modules of their own: nodes compile them, training hooks into them."""

    blocks: Listed[Block]


class Recompute(Protocol):
    """How training runs blocks."""

    def block(self, tokens: Tokens, step: Callable[[Tokens], RouterAnswer]) -> RouterAnswer:
        """Do `step` to the tokens, keeping as little as possible for the backward pass."""

    def part(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a part of a block, likewise."""


def experts_on(timestep: float) -> bool:
    """Whether the experts contribute at a timestep (DIT:658-710)."""
    return timestep < EXPERTS_OFF_FROM


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
    on = [conditional and experts_on(value) for value in values]
    shared = timestep[:1] if len(set(values)) == 1 else timestep
    if all(on) or not any(on):
        return shared, all(on)
    return shared, torch.tensor(on, device=timestep.device)[:, None, None]


def forward(
    dit: RunningDit,
    latents: Tensor,
    timestep: Tensor,
    clip: ClipConstants,
    kernels: Kernels,
    *,
    gate: Tensor | bool,
    face_mask: Tensor | str | None = None,
    hoi: HoiInputs | None = None,
    want_logits: bool = False,
    options: Options | None = None,
    recompute: Recompute | None = None,
    reuse: StepReuse | None = None,
) -> DitOutput:
    """Predict the flow of the target (and of the HOI stream).

    Args:
        dit: the host's S2V module with our extras, whose blocks run `run_block`.
        latents: noisy target `[B, 16, F, H, W]`, H and W even.
        timestep: `[B]` or, shared by the batch, `[1]`; 0-1000.
        clip: from `prepare_clip` with the same shapes.
        gate: whether the experts contribute, from `read_timestep`.
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
        routing=_routing(dit, gate, latents),
        logits=want_logits,
        face=isinstance(face_mask, str),
        mutual=hoi is not None and hoi.mutual,
        patches={} if hoi is not None else read_patches(options),
        part=run_part if recompute is None else recompute.part,
    )
    options |= {"total_blocks": len(dit.blocks), "block_type": "double", "block_index": 0}  # as the host tells patches
    # a pack that replaces the first block, or patches its attention, may do something else in each pass
    plain = _replacement(options, 0) is None and "attn1_patch" not in settings.patches
    shared = reuse if hoi is None and plain and len(dit.blocks) > 1 else None
    if shared is not None:
        tokens = Tokens(_reused_attention(dit, latents, timestep, time.modulation[0], clip, settings, shared), None)
    else:
        main = _main_tokens(dit, latents, clip)
        tokens = Tokens(main, None if hoi is None else hoi_stream(dit).embed(hoi.latents))
        del main  # see `Tokens`
    logits = []
    for index in range(len(dit.blocks)):
        done = shared is not None and index == 0
        step = partial(_block_step, dit, index, time, latents, clip, settings, face_mask, done)
        answer = step(tokens) if recompute is None else recompute.block(tokens, step)
        if want_logits and answer.logits is not None:
            logits.append(answer.logits)

    layout = clip.scene.layout
    grid = (layout.latents, layout.rows, layout.columns)
    video = dit.unpatchify(dit.head(tokens.main[:, : layout.target], time.embedding), grid)
    if hoi is None or tokens.hoi is None:
        return DitOutput(video, None, logits)
    embedding = time.embedding if hoi.timestep is None else _embed_timestep(dit, hoi.timestep, latents)
    hoi_grid = (hoi.latents.shape[2], layout.rows, layout.columns)
    return DitOutput(video, dit.unpatchify(hoi_stream(dit).head(tokens.hoi, embedding), hoi_grid), logits)


def _routing(dit: Dit, gate: Tensor | bool, latents: Tensor) -> Routing | None:
    if dit.experts is None or gate is False:
        return None
    return Routing(None if gate is True else gate, make_bias_units(latents))


def _read_time(dit: Dit, timestep: Tensor, latents: Tensor, clip: ClipConstants, reuse: StepReuse | None) -> StepTime:
    def build() -> StepTime:
        embedding = _embed_timestep(dit, timestep, latents)
        projected = dit.time_projection(embedding).unflatten(1, (6, dit.dim))
        return StepTime(embedding, block_modulation(clip.scene.modulation, projected))

    return build() if reuse is None else reuse.time(timestep, build)


def _reused_attention(
    dit: Dit,
    latents: Tensor,
    timestep: Tensor,
    timed: Modulation,
    clip: ClipConstants,
    settings: BlockSettings,
    reuse: StepReuse,
) -> Tensor:
    """Main tokens behind the first block's self-attention, computed once a step."""

    def build() -> Tensor:
        tokens = Tokens(_main_tokens(dit, latents, clip), None)
        attend_to_self(dit.blocks[0], tokens, timed, clip.of_block(0), settings)
        return tokens.main

    return reuse.attended(latents, timestep, clip.scene, build)


def _embed_timestep(dit: Dit, timestep: Tensor, latents: Tensor) -> Tensor:
    return dit.time_embedding(timestep_embedding(timestep, dit.freq_dim).to(latents.dtype))


def _main_tokens(dit: Dit, latents: Tensor, clip: ClipConstants) -> Tensor:
    conditions = clip.scene.condition_tokens
    target = embed_latents(dit, latents) + clip.scene.target_offset
    return target if conditions is None else torch.cat([target, conditions.expand(len(target), -1, -1)], dim=1)


def _block_step(
    dit: RunningDit,
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
    answer = _run_replaceable(dit, index, tokens, time.modulation[index], clip, settings, attended)
    for patch in settings.patches.get("double_block", ()):
        told = {"x": latents, "vec": time.embedding, "block_index": index, "img_offset": 0}
        tokens.main = patch({"img": tokens.main, **told, "transformer_options": settings.options})["img"]
    if index in clip.audio:
        mask = answer.face if isinstance(face_mask, str) else face_mask
        tokens.main = inject_audio(tokens.main, clip.audio[index], clip.scene.layout.target, mask, settings)
    return answer


def _replacement(options: Options, index: int) -> Replacement | None:
    """What another node pack registered to run instead of a block (``patches_replace["dit"]``), or None."""
    found: Replacement | None = options.get("patches_replace", {}).get("dit", {}).get(("double_block", index))
    return found


def _run_replaceable(
    dit: RunningDit,
    index: int,
    tokens: Tokens,
    timed: Modulation,
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
        return block(experts, tokens, timed, own, settings, target_only=last, attended=attended)
    answers = [RouterAnswer()]

    def original(args: Options) -> Options:
        tokens.main = args["img"]
        answers.append(block(experts, tokens, timed, own, settings))
        return {"img": tokens.main}

    args: Options = {"img": tokens.main, "txt": own.text, "vec": timed, "pe": own.main_rotation.turn}
    args["transformer_options"] = settings.options
    tokens.main = replacement(args, {"original_block": original})["img"]
    return answers[-1]
