"""Keys of boxes in frames and in latents, and mistakes in boxes."""

from __future__ import annotations

import json

import pytest

from cointeract_pack.cointeract_core.conditioning.pose import resample_times
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.box_cells import (
    Box,
    Hands,
    NoBox,
    boxes_text,
    frame_number,
    key_latent,
    read_boxes,
    typed_boxes,
)
from cointeract_pack.cointeract_core.training.table.boxes import (
    box_notes,
    box_problems,
    count_latents,
    in_frames,
    in_time,
)

BOX = [10, 20, 30, 40]
SIZE = VideoSize(64, 96)


def keys(*numbers):
    return {f"frame_{number}": BOX for number in numbers}


def typed(*numbers, **others):
    """Boxes of these frames as a cell has them, and what else it holds."""
    return typed_boxes({**keys(*numbers), **others})


@pytest.mark.parametrize(
    ("cells", "latents", "expected"),
    [
        ([keys(*range(2, 79, 4))], 20, False),  # as published
        ([keys(*range(20))], 20, True),  # as the authors' README has it
        ([keys(0)], 20, True),
        ([keys(1, 5)], 20, True),
        ([keys(2, 6, 10)], 20, False),  # could be either; frames are what the authors' program reads
        ([keys(2, 6), keys(3)], 20, True),  # one kind in the whole row
        ([keys(*range(0, 77, 4))], 20, False),  # some lie past the last latent
        ([keys(*range(20))], 10, False),
        ([keys(*range(10))], 10, True),
        ([keys(-1)], 20, False),
        ([{}], 20, False),
        ([], 20, False),
        ([{"note": BOX}], 20, False),
    ],
)
def test_keys_are_told_apart(cells, latents, expected):
    assert count_latents([typed_boxes(cell) for cell in cells], latents) is expected


def test_latents_become_the_frames_the_masks_read():
    converted = in_frames(typed(*range(20), note=1))
    assert list(converted) == [*(f"frame_{number}" for number in range(2, 79, 4)), "note"]
    assert [key_latent(key, 20) for key in converted] == [*range(20), None]


@pytest.mark.parametrize("fps", [12, 24, 30, 50, 60])
def test_boxes_of_resampled_footage_keep_to_their_moments(fps):
    target = resample_times(round(3.24 * fps), fps)[:80]
    every = {f"frame_{n}": Box(n, 0, n + 1, 1) for n in range(round(3.24 * fps))}
    placed = in_time({**every, "note": NoBox(1)}, target)
    assert {key: box.left for key, box in placed.items() if key != "note"} == {
        f"frame_{n}": target[n] for n in range(2, 79, 4)
    }
    assert placed["note"] == NoBox(1)
    # drawn on every fourth source frame, as the authors do: no latent is left without, none is far off
    sparse = in_time({key: every[key] for key in list(every)[2::4]}, target)
    if fps >= 24:
        assert len(sparse) == 20
    assert all(abs(box.left / fps - int(key[6:]) / 25) <= 2 / 25 + 1 / fps for key, box in sparse.items())


def test_boxes_of_resampled_footage_that_miss_the_clip():
    target = resample_times(97, 30)[:80]
    assert in_time({}, target) == {}
    assert list(in_time(typed(2), target)) == ["frame_2"]
    with pytest.raises(InputError) as refusal:
        in_time(typed(200, 204), target)
    assert str(refusal.value) == (
        "its keys are frame_200, frame_204, but frames of input_video from frame_0 to frame_95 are expected; name the "
        "frames the boxes were drawn on."
    )


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("frame_7", 7),
        ("frame_7_left", 7),
        ("frame_", None),
        ("frame_-2", -2),
        ("frame_ 2", 2),
        ("frame_x", None),
        ("7", None),
    ],
)
def test_numbers_of_keys(key, number):
    assert frame_number(key) == number


@pytest.mark.parametrize(
    "boxes",
    [
        {},
        keys(2, 6),
        {"frame_2": []},
        {"frame_2": None},
        {"frame_2": {"l_h": BOX, "r_h": [], "obj": "anything"}},
        {"frame_2": [-5, -5, 1, 1]},  # partly inside
        {"frame_2": BOX, "frame_900": "never looked at"},
    ],
)
def test_good_boxes(boxes):
    assert box_problems(typed_boxes(boxes), SIZE, 20) == []


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        (
            {"2": BOX, "6": BOX},
            "its keys are 2, 6, but frames of the clip such as frame_2 to frame_78 are expected; name the frames the "
            "boxes were drawn on.",
        ),
        (
            keys(90, 94, 98, 102),
            "its keys are frame_90, frame_94, frame_98 and 1 more, but frames of the clip such as frame_2 to frame_78 "
            "are expected; name the frames the boxes were drawn on.",
        ),
        (
            {"frame_2": [1, 2, 3]},
            "frame_2 holds [1, 2, 3], but four numbers x1, y1, x2, y2 are expected; correct the box or take it out.",
        ),
        (
            {"frame_2": [[1, 2, 3, 4]]},
            "frame_2 holds [[1, 2, 3, 4]], but four numbers x1, y1, x2, y2 are expected; correct the box or take it "
            "out.",
        ),
        (
            {"frame_2": [1, 2, float("nan"), 4], "frame_6": [1, 2, float("inf"), 4], "frame_10": BOX},
            "frame_2, frame_6 holds [1, 2, nan, 4], but four numbers x1, y1, x2, y2 are expected; correct the box or "
            "take it out.",
        ),
        (
            {"frame_2": [1, 2, True, 4]},
            "frame_2 holds [1, 2, True, 4], but four numbers x1, y1, x2, y2 are expected; correct the box or take it "
            "out.",
        ),
        (
            {"frame_2": [30, 20, 10, 40]},
            "frame_2 holds [30, 20, 10, 40], but x2, y2 are expected right of and below x1, y1; swap the corners, "
            "or where these are x, y, width and height, write x2 and y2.",
        ),
        (
            {"frame_2": {"l_h": [64, 0, 70, 9]}},
            "frame_2 holds [64, 0, 70, 9], but boxes inside of 64x96 are expected; correct it, or give the size it was "
            "drawn on in width and height.",
        ),
        (
            {"frame_2": {"left": BOX, "obj": BOX}},
            "frame_2 holds {'left': [10, 20, 30, 40]}, but boxes named l_h and r_h are expected; name the hands so.",
        ),
    ],
)
def test_mistakes_in_boxes(boxes, sentence):
    assert box_problems(typed_boxes(boxes), SIZE, 20) == [sentence]


def test_each_kind_of_mistake_is_said_once():
    boxes = {**{f"frame_{n}": [9, 9, 1, 1] for n in (2, 6, 10, 14)}, "frame_18": [70, 0, 80, 9], "frame_22": "x"}
    assert [text.split(" holds ")[0] for text in box_problems(typed_boxes(boxes), SIZE, 20)] == [
        "frame_2, frame_6, frame_10 and 1 more",
        "frame_18",
        "frame_22",
    ]


def test_the_size_need_not_be_known():
    assert box_problems({"frame_2": Box(1e6, 0, 2e6, 9)}, None, 20) == []


def test_what_is_not_used_is_said():
    assert box_notes(typed(2, 0, 90), 20) == ["frame_0, frame_90 not used: no frames of the clip's 20 latents."]
    assert box_notes(typed(2), 20) == []


def test_a_cell_is_read_into_types_and_nothing_of_it_is_lost():
    """A run that is resumed compares the text, so what was read gives what JSON gave."""
    cell = {
        "frame_2": [1, 2.5, 30, 40], "frame_6": {"obj": [0, 0, 1, 1], "r_h": [1, 2, 3, 4], "l_h": []},
        "frame_10": None, "frame_14": [1, 2, True, 4], "note": {"l_h": {"l_h": [1, 2, 3, 4]}},
    }  # fmt: skip
    boxes = read_boxes(json.dumps(cell), "hand_object")
    assert boxes["frame_2"] == Box(left=1, top=2.5, right=30, bottom=40)
    assert boxes["frame_6"] == Hands({"obj": NoBox([0, 0, 1, 1]), "r_h": Box(1, 2, 3, 4), "l_h": NoBox([])})
    assert boxes["frame_6"].both == [NoBox([]), Box(1, 2, 3, 4)]
    assert (boxes["frame_10"], boxes["frame_14"]) == (NoBox(None), NoBox([1, 2, True, 4]))
    assert boxes_text(boxes) == json.dumps(cell)
    assert boxes_text(None) == "None"
