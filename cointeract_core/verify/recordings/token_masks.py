"""Face and hand boxes as token masks."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import InputError
from ...shapes import VideoSize
from ...training.table.box_cells import read_boxes
from ...training.table.token_masks import TokenMasks, router_targets, router_weights, token_masks
from .golden import Check, Golden, Info, holds, same

RAISES: dict[str, object] = {  # what the reference raises for, by its name in the file
    "json list instead of dict": "[[1, 2, 3, 4]]",
    "json number": "5",
    "NaN float (empty CSV cell)": float("nan"),
    "json null": "null",
    "python None": None,
}


def check_masks(golden: Golden) -> Iterator[Check]:
    """Masks of every case; targets and weights where the file has them; and what is refused."""
    for case in golden.info["cases"]:
        masks = _masks(case)
        for kind, ours in (("face", masks.face), ("hand", masks.hand)):
            name = f"{case['name']}.{kind}"
            yield same(name, ours, golden[f"out.{name}"])
            yield holds(f"{name}: number of tokens", int(ours.sum()) == case[f"{kind}_count"])
        for kind, compute in (("router_targets", router_targets), ("loss_weights", router_weights)):
            theirs = golden.get(f"out.{case['name']}.{kind}")
            if theirs is not None:
                yield same(f"{case['name']}.{kind}", compute(masks), theirs)
    for name, answer in golden.info.get("raises", {}).items():
        yield holds(f"{name}: {answer}", _refused(RAISES[name]) != answer.startswith("ok"))


def _masks(case: Info) -> TokenMasks:
    source = None
    if case["original_size_hw"] is not None and case["target_size_hw"] is not None:
        source = _size(*case["original_size_hw"])
    face, hand = (read_boxes(_readable(case[name]), name) for name in ("face", "hand"))
    return token_masks(face, hand, case["num_frames"], _size(case["height"], case["width"]), source)


def _readable(text: str) -> str | None:
    """The reference takes broken JSON for no boxes; we refuse it, so no boxes are what is left to compare."""
    return None if _refused(text, "is not valid JSON") else text


def _refused(text: object, because: str = "") -> bool:
    try:
        token_masks(read_boxes(text, "face"), None, 1, _size(64, 64))
    except InputError as error:
        return because in str(error)
    return False


def _size(height: int, width: int) -> VideoSize:
    return VideoSize(width, height)
