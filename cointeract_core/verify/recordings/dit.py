"""Forwards of the transformer, router logits, tensors on the way, and rotary positions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...checkpoint.keys import OFFICIAL_HOI
from ...constants import PATCH
from ...model.inputs import DitOutput
from ...model.layout import TokenLayout, make_layout
from ...model.positions import Axes, product_axes, rotation
from .golden import FLOAT_TOLERANCE, Check, Golden, compare, holds, same
from .runs import Run, Watch, predict, read_run
from .tiny import build_dit

if TYPE_CHECKING:
    from ...host.model.dit import CoInteractDiT

# A file states the reference's own distance to a float64 run. Two float32 programs may lie that far to either side of
# the truth; where twice that, and half as much again for the runs it was not measured on, is more than the usual
# tolerance, it takes its place.
NOISE_FACTOR = 3.0
# Router logits reach 6.5 where predictions reach 3. On the published `dit_moe` the reference's own lie up to 4.9e-6
# from a float64 run, 3.7 times its predictions' distance, so two float32 programs may differ by twice that.
LOGIT_NOISE_FACTOR = 7.5
LOGITS = 1e-5  # the same for a file that does not state its distance
Grid = tuple[int, int, int]  # tokens: target latents, rows, columns


def tolerance_of(golden: Golden) -> float:
    """Allowed absolute difference of a file's predictions."""
    return max(FLOAT_TOLERANCE, NOISE_FACTOR * float(golden.info.get("f32_vs_f64_max_abs", 0.0)))


def logit_tolerance_of(golden: Golden) -> float:
    """Allowed absolute difference of a file's router logits."""
    noise = golden.info.get("f32_vs_f64_max_abs")
    return LOGITS if noise is None else max(FLOAT_TOLERANCE, LOGIT_NOISE_FACTOR * float(noise))


def check_dit(golden: Golden) -> Iterator[Check]:
    """Every ``out.pred*`` and ``out.router_logits*`` of a file, and its ``mid.*`` from the run it lists first."""
    yield from _check_runs(golden, build_dit(golden), "out.pred")


def check_cogen(golden: Golden) -> Iterator[Check]:
    """Every ``out.rgb*`` with its HOI stream; asymmetric RGB must not have a bit of it."""
    dit = build_dit(golden)
    yield from _check_runs(golden, dit, "out.rgb")
    run = read_run(golden, "")
    if run.hoi is not None and not run.hoi.mutual:
        alone, beside = predict(dit, read_run(golden, "_branch_off")), predict(dit, run)
        yield same("RGB without the HOI stream, bit by bit", beside.video, alone.video)
        logits = torch.stack(beside.router_logits), torch.stack(alone.router_logits)
        yield same("router without the HOI stream, bit by bit", *logits)


def check_product_scale(golden: Golden) -> Iterator[Check]:
    """As `check_dit`, and the product's rows for every scale and number of tokens the file lists."""
    yield from check_dit(golden)
    for scale, sizes in golden.info["product_positions_per_scale"].items():
        for tokens, expected in sizes.items():
            axes = product_axes(int(tokens), int(tokens), float(scale))
            yield holds(f"product rows at scale {scale} on {tokens}", axes.h.tolist() == expected["positions"])


def check_positions(golden: Golden) -> Iterator[Check]:
    """Table rows of every token group at every size of a ``rope_positions`` file."""
    for size, groups in golden.info["sizes"].items():
        grid = tuple(groups["target"]["grid"])
        layout = _layout(grid, 1.0)
        for name, expected in groups.items():
            if name == "token_counts":
                yield holds(f"{size}: token counts", _counts(layout) == expected)
            else:
                axes = _axes(name, grid, layout)
                ours = {"t": axes.t, "h": axes.h, "w": axes.w}
                equal = all(np.array_equal(rows, expected[axis]) for axis, rows in ours.items())
                yield holds(f"{size}: {name}", equal and axes.tokens == int(np.prod(expected["grid"])))


def _layout(grid: Grid, scale: float) -> TokenLayout:
    latents, rows, columns = grid
    cells = PATCH * rows, PATCH * columns
    return make_layout(latents, *cells, person=True, product_scale=scale, motion=True, hoi_latents=latents)


def _axes(name: str, grid: Grid, layout: TokenLayout) -> Axes:
    if name == "hoi":
        return _hoi_axes(layout)
    if name.startswith("product_scale"):
        name, scale = "product", float(name.removeprefix("product_scale"))
        layout = _layout(grid, scale)
    return next(axes for key, axes, _ in layout.groups if key == name)


def _hoi_axes(layout: TokenLayout) -> Axes:
    if layout.hoi is None:
        raise ValueError("the layout has no HOI stream")
    return layout.hoi


def _counts(layout: TokenLayout) -> dict[str, int]:
    counts = {"motion": 0, "hoi": _hoi_axes(layout).tokens}
    for name, axes, _ in layout.groups:
        kind = "motion" if name.startswith("motion") else name
        counts[kind] = counts.get(kind, 0) + axes.tokens
    return counts


def _check_runs(golden: Golden, dit: CoInteractDiT, prefix: str) -> Iterator[Check]:
    tolerance = tolerance_of(golden)
    compared = set()
    for suffix in golden.group(prefix):
        run = read_run(golden, suffix)
        out = predict(dit, run)
        for name, ours in _outputs(golden, prefix, suffix, out).items():
            if name in golden.tensors:
                compared.add(name)
                logits = name.startswith("out.router_logits")
                allowed = logit_tolerance_of(golden) if logits else tolerance
                yield compare(name.removeprefix("out."), ours, golden[name], allowed)
    left = {name for name in golden.tensors if name.startswith("out.")} - compared
    yield holds(f"outputs nothing compares: {', '.join(sorted(left)) or 'none'}", not left)
    yield from _check_inside(golden, dit, read_run(golden, _first(golden)), tolerance)


def _outputs(golden: Golden, prefix: str, suffix: str, out: DitOutput) -> dict[str, Tensor]:
    """Our outputs under the file's names; latent 0 of a prediction is the person latent, copied through."""
    named = {prefix + suffix: torch.cat([golden["in.latents"][:, :, :1], out.video], dim=2)}
    if out.router_logits:
        named[f"out.router_logits{suffix}"] = torch.stack(out.router_logits)
    if out.hoi is not None:
        named[f"out.hoi{suffix}"] = out.hoi
    return named


def _first(golden: Golden) -> str:
    """End of the name of the run a file lists first, the one its ``mid.*`` belong to."""
    first = next(iter(golden.info.get("runs") or golden.info.get("timesteps") or {"": None}))
    first = re.sub(r"^out\.(pred|rgb)|/.*$", "", first)
    return f"_{first}" if first and not first.startswith("_") else first


def _check_inside(golden: Golden, dit: CoInteractDiT, run: Run, tolerance: float) -> Iterator[Check]:
    """Tensors on the way; of a block's input the main sequence is compared, HOI tokens before their head."""
    seen = Watch(dit)
    with seen:
        predict(dit, run, seen.options)
    ours = {f"block{index}.in": tokens for index, tokens in seen.blocks.items()}
    ours |= {f"{name}.in": tokens for name, tokens in seen.inputs.items()}
    texts = seen.outputs["text_embedding"]
    # a run without HOI stream has one text
    ours |= dict(zip(("context_emb", f"{OFFICIAL_HOI}_context_emb"), texts, strict=False))
    clean, given = seen.outputs["time_projection"][:2]
    ours["t_mod"] = torch.cat([rows.unflatten(1, (6, 1, -1)) for rows in (given, clean)], dim=2)
    # the one repeated frame in front is ours to drop, as the reference drops its nineteen
    heard = seen.outputs["casual_audio_encoder"][0]
    ours |= {f"audio_{name}": tokens[:, 1:] for name, tokens in zip(("global", "local"), heard, strict=True)}
    ours |= _rotations(dit, run)
    for name, theirs in golden.group("mid.").items():
        if name.startswith("seq_len"):
            beside = None if run.hoi is None else run.hoi.latents
            stream = run.latents if name.endswith("_x") else beside
            count = 0 if stream is None else stream[:1, :1].numel() // PATCH**2
            yield holds(f"{name} is {count}", int(theirs) == count)
        elif name.startswith("block"):
            tokens = ours[name]
            yield on_the_way(f"mid.{name}", tokens, theirs[:, : tokens.shape[1]], tolerance)
        else:
            yield on_the_way(f"mid.{name}", ours[name], theirs, tolerance)


def on_the_way(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Check:
    """Compare a tensor inside the model, whose numbers may be larger than an output's: by its own size.

    A hidden state of magnitude 10 that is off by 6e-6 is off by six steps of float32; an output is never judged so.
    """
    return compare(name, ours, theirs, tolerance * max(1.0, theirs.abs().max().item()))


def _rotations(dit: CoInteractDiT, run: Run) -> dict[str, Tensor]:
    layout = make_layout(
        *run.latents.shape[2:],
        person=True,
        product_scale=None if run.clip.product is None else run.clip.product_scale,
        motion=run.clip.motion is not None,
        hoi_latents=None if run.hoi is None else run.hoi.latents.shape[2],
    )
    axes = [*layout.axes, *([layout.hoi] if layout.hoi else [])]
    table = rotation(axes, dit.dim // dit.num_heads, "cpu", torch.float32).turn[0, :, 0]
    return {"rope_cos": table[..., 0], "rope_sin": table[..., 1]}
