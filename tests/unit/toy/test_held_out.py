"""What is held out is nowhere else."""

from __future__ import annotations

import itertools

import pytest

from cointeract_pack.toy import held_out
from cointeract_pack.toy.held_out import LESSON, PARTS, TEST, TRAINING, UNSEEN, VALIDATION
from cointeract_pack.toy.world.palette import PRODUCTS
from cointeract_pack.toy.world.scene import ACTIONS, scene_of
from cointeract_pack.toy.world.shapes import COMMON_SHAPES

MANY = 300


def test_no_seed_is_of_two_parts():
    for one, other in itertools.combinations(PARTS.values(), 2):
        assert one.end <= other.first or other.end <= one.first


def test_training_never_sees_what_is_held_out():
    scenes = PARTS[TRAINING].take(MANY)
    assert not any(held_out.is_unseen(scene) for scene in scenes)
    assert all(held_out.is_unseen(scene) for scene in PARTS[UNSEEN].take(40))
    pairs = {(scene.product.colour, scene.product.shape) for scene in scenes}
    assert pairs == set(itertools.product(PRODUCTS, COMMON_SHAPES)) - held_out.UNSEEN_PRODUCTS
    assert {scene.action for scene in scenes} == set(ACTIONS)
    assert {scene.grip for scene in scenes} == {"left", "right", "both"}


@pytest.mark.parametrize("part", [TEST, VALIDATION])
def test_test_scenes_are_new_but_of_the_same_kind(part):
    scenes = PARTS[part].take(held_out.TEST_SCENES)
    assert not any(held_out.is_unseen(scene) for scene in scenes)
    assert not {scene.seed for scene in scenes} & {scene.seed for scene in PARTS[TRAINING].take(MANY)}


def test_the_lessons_product_is_nowhere_else():
    assert held_out.LESSON_SHAPE not in COMMON_SHAPES
    assert all(scene_of(seed).product.shape in COMMON_SHAPES for seed in range(MANY))
    lesson = PARTS[LESSON].take(held_out.LESSON_ROWS)
    looks = {(scene.product.shape, scene.product.colour, scene.product.label) for scene in lesson}
    assert looks == {(held_out.LESSON_SHAPE, held_out.LESSON_COLOUR, held_out.LESSON_LABEL)}
    assert all(held_out.LESSON_SHAPE in scene.prompt for scene in lesson)


def test_a_seed_of_another_part_is_refused():
    with pytest.raises(ValueError, match="1000000 is not of training"):
        PARTS[TRAINING].take(1, 1_000_000)
    with pytest.raises(ValueError, match="begin earlier"):
        PARTS[TEST].take(5, PARTS[TEST].end - 2)
