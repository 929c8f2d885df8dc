"""The HOI stream leaves no trace in the RGB prediction, whatever the precision."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cointeract_pack.cointeract_core.verify.recordings.golden import read_golden
from cointeract_pack.cointeract_core.verify.recordings.runs import Run, predict, read_run
from cointeract_pack.cointeract_core.verify.recordings.tiny import build_dit

GOLDEN = Path(__file__).parent / "golden" / "dit" / "dit_cogen_asym.safetensors"


def cast(part: Any, precision: torch.dtype) -> Any:
    """A run's inputs in another precision; timesteps stay as they are."""
    values = {field.name: getattr(part, field.name) for field in fields(part) if "timestep" not in field.name}
    tensors = {name: value.to(precision) for name, value in values.items() if isinstance(value, torch.Tensor)}
    return replace(part, **tensors)


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def asymmetric(request) -> tuple[Any, Run]:
    """The model with experts and the HOI stream, and a run at a timestep where the experts count."""
    golden = read_golden(GOLDEN)
    run = cast(read_run(golden, ""), request.param)
    run = replace(run, clip=cast(run.clip, request.param), hoi=cast(run.hoi, request.param))
    assert not run.hoi.mutual
    assert run.timestep.max() < 900
    return build_dit(golden).to(request.param), run


def test_rgb_is_bit_equal_without_the_stream(asymmetric):
    dit, run = asymmetric
    beside, alone = predict(dit, run), predict(dit, replace(run, hoi=None))
    assert beside.hoi.shape == beside.video.shape
    assert alone.hoi is None
    assert torch.equal(beside.video, alone.video)
    assert all(map(torch.equal, beside.router_logits, alone.router_logits))


def test_another_hoi_changes_no_bit_of_rgb(asymmetric):
    dit, run = asymmetric
    another = replace(
        run.hoi, latents=run.hoi.latents * -3, context=run.hoi.context.flip(1), timestep=torch.tensor([7.0])
    )
    one, two = predict(dit, run), predict(dit, replace(run, hoi=another))
    assert not torch.equal(one.hoi, two.hoi)
    assert torch.equal(one.video, two.video)


def test_mutual_visibility_reaches_rgb(asymmetric):
    dit, run = asymmetric
    one, two = predict(dit, run), predict(dit, replace(run, hoi=replace(run.hoi, mutual=True)))
    assert not torch.equal(one.video, two.video)


@pytest.mark.parametrize(("name", "seen"), [("person", False), ("motion", False), ("product", True)])
def test_hoi_reads_the_target_and_the_product_alone(name, seen, asymmetric):
    """Seen in the first block, before the target has passed anything on."""
    dit, run = asymmetric
    attended: list[torch.Tensor] = []
    hook = dit.blocks[0].self_attn.o.register_forward_hook(lambda _module, _args, out: attended.append(out.clone()))
    clip = replace(run.clip, **{name: getattr(run.clip, name) * 2})
    for conditions in (run.clip, clip):
        predict(dit, replace(run, clip=conditions))
    hook.remove()
    main, hoi, changed_main, changed_hoi = attended
    assert not torch.equal(main, changed_main)
    assert torch.equal(hoi, changed_hoi) is not seen
