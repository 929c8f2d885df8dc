"""Two small pieces alone: turning queries and keys, and shift and scale by segments."""

from __future__ import annotations

from typing import Any

import torch

from ...cointeract_core.model.layout import make_layout
from ...cointeract_core.model.modulation import modulated
from ...cointeract_core.model.positions import rotate, rotation
from .contest import Entry
from .timing import Case

REPEATS = 20  # in one round: a piece takes about a millisecond
LEAST_WIDTH = 1024  # of a narrower sequence most of the time would go into calling, not into working


def micro_cases(ours: Entry, authors: Entry) -> list[list[Case]]:
    """Both pieces, ours and the authors', on a sequence of the clip's length."""
    contest = ours.contest
    settings, (rows, columns) = contest.size.settings, contest.size.cells
    head = settings["dim"] // settings["num_heads"]
    dim = max(settings["dim"], LEAST_WIDTH)
    heads = dim // head
    layout = make_layout(contest.size.frames, rows, columns, person=True, product_scale=1.0, motion=True)
    basic = authors.run.reference.basic
    norm = torch.nn.LayerNorm(dim, eps=ours.run.module.blocks[0].norm1.eps, elementwise_affine=False)
    x = torch.randn(1, layout.main, dim, device=contest.device, dtype=contest.dtype)
    turns = rotation(layout.axes, head, contest.device, contest.dtype)
    table = torch.view_as_complex(turns.turn.double().contiguous()).expand(1, -1, heads, -1).contiguous()
    target, rest = (torch.randn(2, 1, 1, dim, device=contest.device, dtype=contest.dtype) for _ in range(2))

    def expanded(index: int) -> torch.Tensor:
        """A row for every token, as the authors keep them."""
        counts = ((target, layout.target), (rest, layout.main - layout.target))
        return torch.cat([values[index].expand(1, count, dim) for values, count in counts], dim=1)

    def theirs(_round: int) -> torch.Tensor:
        return basic.modulate(norm(x), expanded(0), expanded(1))

    def mine(_round: int) -> torch.Tensor:
        return modulated(norm, x, layout.target, (target[0], target[1]), (rest[0], rest[1]))

    def quiet(function: Any) -> Any:
        def often(number: int) -> None:
            with torch.inference_mode():
                for _ in range(REPEATS):
                    function(number)

        return often

    return [
        [
            Case("rotation, authors", quiet(lambda _round: basic.rope_apply(x, table, heads))),
            Case("rotation, ours", quiet(lambda _round: rotate(x, turns, heads))),
        ],
        [Case("modulation, authors", quiet(theirs)), Case("modulation, ours", quiet(mine))],
    ]
