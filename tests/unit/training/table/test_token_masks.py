"""Boxes as token masks: geometry, what is refused, and what the router learns."""

from __future__ import annotations

import logging

import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.box_cells import read_boxes, typed_boxes
from cointeract_pack.cointeract_core.training.table.token_masks import (
    TokenMasks,
    router_targets,
    router_weights,
    token_masks,
)

SIZE = VideoSize(64, 96)  # 4 columns, 6 rows


def cells(box, source=None, key="frame_2", latents=1):
    """Rows and columns a face box marks, as a set of (latent, row, column)."""
    masks = token_masks(typed_boxes({key: box}), None, latents, SIZE, source)
    return {tuple(cell) for cell in masks.face.view(latents, 6, 4).nonzero().tolist()}


def test_both_ends_of_a_box_are_marked():
    assert cells([16, 32, 47, 48]) == {(0, row, column) for row in (2, 3) for column in (1, 2)}


def test_a_box_follows_the_video_when_it_is_scaled_and_cut():
    # 256x192 is scaled by a half to 128x96, then 32 pixels are cut from either side
    assert cells([128, 0, 129, 1], VideoSize(256, 192)) == {(0, 0, 2)}
    assert cells([0, 0, 60, 191], VideoSize(256, 192)) == set()
    assert cells([0, 0, 255, 191], VideoSize(256, 192)) == {(0, row, column) for row in range(6) for column in range(4)}


@pytest.mark.parametrize(
    ("key", "latent"),
    [
        ("frame_2", 0),
        ("frame_5", 0),
        ("frame_6", 1),
        ("frame_0", None),
        ("frame_78", None),
        ("2", None),
        ("frame_", None),
    ],
)
def test_keys_are_frames_of_the_video(key, latent):
    assert {cell[0] for cell in cells([0, 0, 1, 1], key=key, latents=3)} == ({latent} - {None})


def test_objects_are_not_hands():
    boxes = {"frame_2": {"l_h": [0, 0, 1, 1], "r_h": [63, 95, 63, 95], "obj": [0, 0, 64, 96]}}
    hand = token_masks(None, typed_boxes(boxes), 1, SIZE).hand.view(6, 4)
    assert hand.nonzero().tolist() == [[0, 0], [5, 3]]


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "null", '{"frame_2": []}', '{"frame_2": {"l_h": null}}'])
def test_no_boxes_are_no_error(text):
    masks = token_masks(read_boxes(text, "face"), read_boxes(text, "hand"), 2, SIZE)
    assert masks.face.shape == masks.hand.shape == (48,)
    assert masks.face.sum() == masks.hand.sum() == 0
    assert masks.face.dtype == torch.uint8


def test_a_box_of_another_length_is_left_out_and_said(caplog):
    with caplog.at_level(logging.WARNING, "cointeract"):
        assert cells([1, 2, 3]) == set()
    assert caplog.messages == ["face of frame_2 is left out: [1, 2, 3] is not a box [x1, y1, x2, y2]"]


FORM = '{"frame_2": [x1, y1, x2, y2]}'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{not json", f"face is not valid JSON at character 2, but {FORM} is expected; correct the cell."),
        ("[1, 2]", f"face holds a JSON list, but {FORM} is expected; correct the cell."),
        ("5", f"face holds a JSON int, but {FORM} is expected; correct the cell."),
        (float("nan"), f"face holds nan, but text such as {FORM} is expected; write {{}} for no boxes."),
        (
            '{"frame_2": [0, 0, "a", 1]}',
            "face of frame_2 is [0, 0, 'a', 1], but four numbers x1, y1, x2, y2 are expected; correct it.",
        ),
        (
            '{"frame_2": [0, 0, NaN, 1]}',
            "face of frame_2 is [0, 0, nan, 1], but four numbers x1, y1, x2, y2 are expected; correct it.",
        ),
    ],
)
def test_unreadable_boxes_are_refused(text, sentence):
    with pytest.raises(InputError) as refusal:
        token_masks(read_boxes(text, "face"), None, 1, SIZE)
    assert str(refusal.value) == sentence


def test_the_router_learns_hands_before_faces():
    face = torch.tensor([0, 1, 0, 1], dtype=torch.uint8)
    hand = torch.tensor([0, 0, 1, 1], dtype=torch.uint8)
    masks = TokenMasks(face, hand)
    assert router_targets(masks).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert router_weights(masks).tolist() == [1.0, 10.0, 10.0, 10.0]
