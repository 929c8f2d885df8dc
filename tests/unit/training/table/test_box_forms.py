"""Boxes in the forms that other tools write: recognised and converted with a note, or named with row and column."""

from __future__ import annotations

import json

import pytest
import torch

from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table

SIZE = VideoSize(64, 96)
KEYS = [f"frame_{number}" for number in range(2, 79, 4)]
# a face that goes down and to the right and does not change its size, and two hands
FACE = {key: [20 + n, 8 + 2 * n, 36 + n, 28 + 2 * n] for n, key in enumerate(KEYS)}
HANDS = {
    key: {"l_h": [4 + n, 60 - n, 14 + n, 72 - n], "r_h": [40, 50 + n, 52, 60 + n], "obj": [0, 0, 1, 1]}
    for n, key in enumerate(KEYS)
}


def as_fractions(box):
    return [box[0] / 64, box[1] / 96, box[2] / 64, box[3] / 96]


def as_sizes(box):
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def as_centres(box):
    left, top, width, height = as_sizes(as_fractions(box))
    return [left + width / 2, top + height / 2, width, height]


def swapped(box):
    return [box[2], box[3], box[0], box[1]]


def mirrored(box):
    return [box[2], box[1], box[0], box[3]]


def each(boxes, change):
    if isinstance(boxes, dict):
        return {key: value if key == "obj" else each(value, change) for key, value in boxes.items()}
    return change(boxes)


def checked(folder, face=FACE, hand=HANDS):
    """The preflight of a table with a row of these boxes."""
    cells = {"face": json.dumps(face), "hand_object": json.dumps(hand)}
    table = folder.table(folder.row(**cells))
    return check_table(table, size=SIZE, max_pixels=64 * 96, latents=20)


@pytest.fixture(scope="module")
def right(clip_folder):
    """Masks of the boxes as corners in pixels."""
    preflight = checked(clip_folder)
    assert preflight.problems == ()
    assert not any("boxes" in note for note in preflight.rows[0].notes)
    return preflight.rows[0].token_masks


@pytest.mark.parametrize(
    ("change", "notes"),
    [
        (as_fractions, ["boxes in fractions of the picture, read as such (64x96)."]),
        (as_sizes, ["boxes as x, y, width, height, read as such."]),
        (swapped, ["boxes with swapped corners, put in order."]),
        (mirrored, ["boxes with swapped corners, put in order."]),
        (
            as_centres,
            [
                "boxes in fractions of the picture, read as such (64x96).",
                "boxes as centre, width, height, read as such.",
            ],
        ),
        (
            lambda box: swapped(as_fractions(box)),
            [
                "boxes in fractions of the picture, read as such (64x96).",
                "boxes with swapped corners, put in order.",
            ],
        ),
    ],
    ids=["fractions", "sizes", "swapped", "mirrored", "centres", "swapped fractions"],
)
@pytest.mark.parametrize("column", ["face", "hand_object"])
def test_a_known_form_is_converted_and_told(column, change, notes, clip_folder, right):
    cells = {"face": each(FACE, change)} if column == "face" else {"hand": each(HANDS, change)}
    preflight = checked(clip_folder, **cells)
    assert preflight.problems == ()
    row = preflight.rows[0]
    told = [note.split(": ", 1)[1] for note in row.notes if note.startswith(f"{column}: ")]
    assert told == notes
    for name in ("face", "hand"):
        assert torch.equal(getattr(row.token_masks, name), getattr(right, name))


BEYOND = "boxes inside of 64x96 are expected; correct it, or give the size it was drawn on in width and height."


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ([0, 0, 0, 0], "right of and below"),
        ([30, 20, 10, 40], "write x2 and y2"),  # one box alone: x, y, width, height or swapped corners
        ([10, 10, 11, 11], "which is a single pixel"),
        ([200, 300, 260, 380], BEYOND),
        ([30, 40, 110, 90], BEYOND),
        ([-40, 0, 20, 20], BEYOND),
        ([float("nan"), 0, 1, 1], "four numbers"),
        ([float("inf"), 0, 1, 1], "four numbers"),
        (["10", "10", "20", "20"], "four numbers"),
        ("10,10,20,20", "four numbers"),
        ([10, 10, 20], "four numbers"),
        ([[10, 10, 20, 20]], "four numbers"),
        ([True, False, True, True], "four numbers"),
        ([10**400, 0, 10**401, 4], "four numbers"),
        ([0.3, 0.2, 0.6, 0.4], "which is a single pixel"),  # a fraction among pixels
    ],
)
def test_what_cannot_be_read_is_named_with_row_and_column(box, sentence, clip_folder):
    alone = {"frame_2": box}
    mixed = alone if box == [30, 20, 10, 40] else {**FACE, "frame_2": box}
    preflight = checked(clip_folder, face=mixed)
    assert preflight.rows == ()
    (problem,) = preflight.problems
    assert (problem.row, problem.column) == (2, "face")
    assert problem.text.startswith("frame_2 holds ")
    assert sentence in problem.text


def test_a_box_that_a_detector_guessed_a_little_beyond_the_picture_stays(clip_folder):
    assert checked(clip_folder, face={**FACE, "frame_2": [-3, -4, 30, 40]}).problems == ()


def test_frames_without_a_box_are_no_mistake(clip_folder):
    assert checked(clip_folder, face={**FACE, "frame_2": [], "frame_6": None}).problems == ()
