"""What the golden files do not say of the forward: where it is bit-equal, batches, odd sizes, replaced blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cointeract_pack.cointeract_core.constants import EXPERTS_OFF_FROM, TEMPORAL_STRIDE
from cointeract_pack.cointeract_core.model.prepare import embed_audio
from cointeract_pack.cointeract_core.verify.recordings.golden import FLOAT_TOLERANCE, read_golden
from cointeract_pack.cointeract_core.verify.recordings.runs import Run, predict, read_run
from cointeract_pack.cointeract_core.verify.recordings.tiny import build_dit

GOLDEN = Path(__file__).parent / "golden" / "dit" / "dit_moe.safetensors"
REPEATED, DROPPED = 73, 19  # the authors' audio prefix, in features and in outputs


@pytest.fixture
def dit() -> Any:
    return build_dit(read_golden(GOLDEN))


@pytest.fixture
def run() -> Run:
    return read_run(read_golden(GOLDEN), "")


def at(run: Run, *timestep: float) -> Run:
    return replace(run, timestep=torch.tensor(timestep))


def silence_experts(dit: Any) -> None:
    for experts in dit.experts:
        for expert in (experts.hand, experts.face):
            expert.fc2.weight.data.zero_()
            expert.fc2.bias.data.zero_()


def plain(dit: Any, run: Run) -> torch.Tensor:
    """The prediction without asking for router logits, as sampling does."""
    with torch.inference_mode():
        return dit.predict(run.latents, run.timestep, run.clip, conditional=run.conditional).video


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_experts_are_off_from_900_on_bit_by_bit(precision, dit, run):
    dit.to(precision)
    clip = replace(run.clip, context=run.clip.context.to(precision))
    run = replace(run, latents=run.latents.to(precision), clip=clip)
    moments = (EXPERTS_OFF_FROM, 1000.0, EXPERTS_OFF_FROM - 0.25)
    routed = [plain(dit, at(run, moment)) for moment in moments]
    silence_experts(dit)
    silent = [plain(dit, at(run, moment)) for moment in moments]
    assert torch.equal(routed[0], silent[0])
    assert torch.equal(routed[1], silent[1])
    assert not torch.equal(routed[2], silent[2])


def test_the_router_is_not_even_asked_where_it_does_not_count(dit, run):
    asked = []
    for experts in dit.experts:
        experts.router[0].register_forward_hook(lambda *_: asked.append(1))
    plain(dit, at(run, EXPERTS_OFF_FROM))
    plain(dit, replace(run, conditional=False))
    assert asked == []
    plain(dit, run)
    assert len(asked) == len(dit.blocks)


def test_a_batch_of_two_equals_two_runs(dit, run):
    """At timesteps on either side of 900, so that one sample takes experts and the other none."""
    other = replace(run.clip, context=run.clip.context * 0.5, audio=run.clip.audio.flip(-1))
    one, two = at(run, 500.0), at(replace(run, latents=run.latents.flip(-1), clip=other), 950.0)
    both = replace(
        run.clip,
        context=torch.cat([run.clip.context, other.context]),
        audio=torch.cat([run.clip.audio, other.audio]),
    )
    together = plain(dit, Run(torch.cat([one.latents, two.latents]), torch.tensor([500.0, 950.0]), both, None, True))
    apart = torch.cat([plain(dit, one), plain(dit, two)])
    torch.testing.assert_close(together, apart, rtol=0, atol=FLOAT_TOLERANCE)


def test_short_audio_prefix_gives_the_same_tokens(dit, run):
    """One repeated feature and one dropped output stand for the authors' 73 and 19.

    The local tokens are bit-equal; the global ones end in a matrix product, whose order of addition changes with the
    number of its rows.
    """
    frames = run.latents.shape[2]
    window = run.clip.audio[..., : frames * TEMPORAL_STRIDE]
    prefix = window[..., :1].expand(-1, -1, -1, REPEATED)
    with torch.inference_mode():
        theirs = [tokens[:, DROPPED:] for tokens in dit.casual_audio_encoder(torch.cat([prefix, window], dim=-1))]
        ours = embed_audio(dit, run.clip.audio, frames)
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=FLOAT_TOLERANCE)
    assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("size", [(8, 10), (10, 14), (34, 22), (60, 104)], ids=str)
def test_motion_of_any_size(size, dit, run):
    """Sizes that do not divide by the motion groups' eight."""

    def resized(latents):
        if latents is None:
            return None
        flat = latents.transpose(1, 2).flatten(0, 1)
        return F.interpolate(flat, size=size).unflatten(0, (len(latents), -1)).transpose(1, 2)

    clip = replace(
        run.clip, **{name: resized(getattr(run.clip, name)) for name in ("person", "product", "motion", "pose")}
    )
    video = plain(dit, replace(run, latents=resized(run.latents), clip=replace(clip, face_mask=None)))
    assert video.shape[-2:] == size
    assert video.isfinite().all()


def test_replaced_blocks_are_honoured(dit, run):
    seen = []

    def keep(args, extra):
        seen.append(args["img"].shape)
        return extra["original_block"](args)

    def skip(args, _extra):
        return {"img": args["img"]}

    def replaced(block):
        return predict(dit, run, {"patches_replace": {"dit": {("double_block", 1): block}}}).video

    expected = predict(dit, run).video
    assert torch.equal(replaced(keep), expected)
    assert seen == [(1, 240, dit.dim)]
    assert not torch.equal(replaced(skip), expected)
