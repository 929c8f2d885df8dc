"""The contact sheet shows every action, and the one in the documentation is small."""

from __future__ import annotations

import numpy as np

from cointeract_pack.toy import sheet
from cointeract_pack.toy.held_out import LESSON_SHAPE
from cointeract_pack.toy.world.palette import HEIGHT, WIDTH
from cointeract_pack.toy.world.scene import ACTIONS
from cointeract_pack.toy.world.shapes import COMMON_SHAPES

LARGEST = 300_000  # bytes


def test_a_row_for_every_action_and_the_lesson():
    scenes = sheet.scenes_of_sheet()
    assert [scene.action for scene in scenes[:-1]] == list(ACTIONS)
    assert {scene.product.shape for scene in scenes} == {*COMMON_SHAPES, LESSON_SHAPE}
    assert {scene.grip for scene in scenes} == {"left", "right", "both"}


def test_boxes_are_drawn(tmp_path):
    scene = sheet.scenes_of_sheet()[0]
    drawn = sheet.boxes_drawn(scene, 4, 2)
    assert drawn.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    for colour in (*sheet.HAND_COLOURS.values(), sheet.FACE_COLOUR):
        assert (drawn == np.array(colour)).all(axis=-1).sum() > 20


def test_the_command_writes_a_picture(tmp_path):
    assert sheet.main([str(tmp_path / "world.png"), "--scale", "1"]) == 0
    assert (tmp_path / "world.png").stat().st_size < LARGEST


def test_the_picture_of_the_documentation_is_small(repo):
    assert (repo / "docs" / "images" / "toy_world.png").stat().st_size < LARGEST
