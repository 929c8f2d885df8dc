"""Cells of boxes that cannot be used: what is wrong with them, to the word."""

from __future__ import annotations

import json

import pytest

from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table

SIZE = VideoSize(64, 96)
HANDS = json.dumps({"frame_6": {"l_h": [40, 60, 60, 90], "r_h": []}})
NUMBERS = "but four numbers x1, y1, x2, y2 are expected; correct the box or take it out."
EXAMPLE = '{"frame_2": [x1, y1, x2, y2]}'

BAD_BOXES = {
    "boxes that are no json": (
        {"face": "{'frame_2': [1, 2, 3, 4]}"},
        f"face: face is not valid JSON at character 2, but {EXAMPLE} is expected; correct the cell.",
    ),
    "a list of boxes": (
        {"hand_object": "[[1, 2, 3, 4]]"},
        f"hand_object: hand_object holds a JSON list, but {EXAMPLE} is expected; correct the cell.",
    ),
    "boxes nan": (
        {"face": "NaN"},
        f"face: face holds a JSON float, but {EXAMPLE} is expected; correct the cell.",
    ),
    "json without an end": (
        {"face": "[" * 100_000},
        f"face: face is not valid JSON, but {EXAMPLE} is expected; correct the cell.",
    ),
    "a number without an end": (
        {"face": f'{{"frame_2": [1, 2, {"9" * 5000}, 4]}}'},
        f"face: face is not valid JSON, but {EXAMPLE} is expected; correct the cell.",
    ),
    "a box beyond all pictures": (
        {"hand_object": f'{{"frame_2": [1, 2, {"9" * 400}, 4]}}'},
        f"hand_object: frame_2 holds [1, 2, {'9' * 53}…, {NUMBERS}",
    ),
    "face and hands mixed up": (
        {"face": HANDS},
        "face: frame_6 holds boxes of hands, but one box is expected; put them into hand_object.",
    ),
    "nan in a box": (
        {"face": '{"frame_2": [1, 2, NaN, 4]}'},
        f"face: frame_2 holds [1, 2, nan, 4], {NUMBERS}",
    ),
    "inverted box": (
        {"hand_object": '{"frame_2": {"l_h": [30, 2, 3, 40]}}'},
        "hand_object: frame_2 holds [30, 2, 3, 40], but x2, y2 are expected right of and below x1, y1; swap the "
        "corners, or where these are x, y, width and height, write x2 and y2.",
    ),
    "box outside": (
        {"face": '{"frame_2": [500, 600, 700, 800]}'},
        "face: frame_2 holds [500, 600, 700, 800], but boxes inside of 64x96 are expected; correct it, or give the "
        "size it was drawn on in width and height.",
    ),
    "boxes of other frames": (
        {"face": '{"frame_90": [1, 2, 3, 4]}'},
        "face: its keys are frame_90, but frames of the clip such as frame_2 to frame_78 are expected; name the frames "
        "the boxes were drawn on.",
    ),
}


@pytest.mark.parametrize(("cells", "sentence"), BAD_BOXES.values(), ids=BAD_BOXES)
def test_bad_boxes(clip_folder, cells, sentence):
    table = clip_folder.table(clip_folder.row(), clip_folder.row(**cells))
    preflight = check_table(table, size=SIZE, max_pixels=480 * 832, latents=20)
    assert [problem.sentence() for problem in preflight.problems] == [f"row 3, {sentence}"]
    assert [checked.row.number for checked in preflight.rows] == [2]
