"""What was decided before any run: the claims, the one measure each is judged by, and the rule.

Nothing here may be changed after the first run of the grid; `docs/proof.md` says the same in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..held_out import TEST

DECIDED = "2026-11-29"
JUDGED_ON = TEST  # scenes of combinations that training has, by seeds that it has not; the unseen ones stand beside
SCENES = 32  # of each part: more hardly help, for the spread between seeds is larger (power: study of the toy world)
SEEDS = (0, 1, 2)
ROUTER_GOAL = 0.95  # share of hand and of face tokens that the router names rightly (issue: the proof)
SAME_TIME = 0.05  # no cost at inference: the median ratio of times is nearer to 1 than this, and the bits are equal
SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not shown"


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the paper, and how it would show.

    Attributes:
        says: the claim in words.
        metric: the only measure it is judged by, a field of `toy.metrics.clip.Measured`; less is better.
        cell: must be better than every one of
        against: these cells.
    """

    name: str
    says: str
    metric: str
    cell: str
    against: tuple[str, ...]


CLAIMS = (
    Claim(
        "experts",
        "Hands are better with a router that is shown boxes and an expert for hands and faces, also than with a "
        "feed-forward layer of the same number of parameters, and than without the boxes.",
        "hands",
        "experts",
        ("no_experts", "dense", "experts_unsupervised"),
    ),
    Claim(
        "hoi",
        "Hand and product meet more truly after training beside the HOI stream, though it is gone at inference; also "
        "than after as much computing without it, and than beside the HOI stream of another scene.",
        "contact",
        "hoi_asymmetric",
        ("experts", "experts_more_steps", "hoi_placebo"),
    ),
)
# measures that are shown beside, none of which decides: fields of `Measured`, then of `loss.Held`
BESIDE = ("signed", "before", "mouth", "jerk", "product", "off_path", "held")
OF_ROWS = ("flow", "hand_accuracy", "face_accuracy")


def verdict(low: float, high: float) -> str:
    """What a 95 % interval of paired differences, cell less comparison, says where less is better."""
    if high < 0:
        return SUPPORTED
    return CONTRADICTED if low > 0 else OPEN


def joint_verdict(single: list[str]) -> str:
    """A claim holds where it holds against every comparison, so no correction for their number is needed."""
    if not single:
        return OPEN
    if all(one == SUPPORTED for one in single):
        return SUPPORTED
    return CONTRADICTED if all(one == CONTRADICTED for one in single) else OPEN
