"""The world: the same picture for the same seed and frame, boxes around what is seen, hands at the product."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cointeract_pack.cointeract_core import constants
from cointeract_pack.toy.world import palette
from cointeract_pack.toy.world.canvas import SCALE
from cointeract_pack.toy.world.figure import FACE, HAND_LABELS, PRODUCT
from cointeract_pack.toy.world.pose import grip_distances, pose_at
from cointeract_pack.toy.world.product import BAND_BOTTOM, BAND_TOP, INNER, STRIPE_HEIGHT, STRIPE_TOPS, stripe
from cointeract_pack.toy.world.render import (
    BOX_FIRST,
    BOX_STEP,
    TABLE_HANDS,
    draw_hoi,
    draw_labels,
    face_box,
    frame,
    frames,
    hand_boxes,
    person_picture,
    product_picture,
    training_boxes,
)
from cointeract_pack.toy.world.scene import ACTIONS, BOTH, LEFT, RIGHT, TWO_HANDED, scene_of, vocabulary
from cointeract_pack.toy.world.shapes import GRIP, SHAPES, distance, outline

SEEDS = (0, 1, 2, 7)
FAR = 700  # a frame many clips behind the first
SHAPE = (palette.HEIGHT, palette.WIDTH, 3)


def every_kind():
    """A scene of each shape, action and grip."""
    scene = scene_of(0)
    for shape, action, grip in itertools.product(SHAPES, ACTIONS, (LEFT, RIGHT, BOTH)):
        if grip != BOTH or action in TWO_HANDED:
            yield replace(scene, product=replace(scene.product, shape=shape), action=action, grip=grip)


def test_numbers_of_the_pack():
    assert palette.FPS == constants.VIDEO_FPS
    assert (BOX_FIRST, BOX_STEP) == (constants.BOX_FIRST_FRAME, constants.TEMPORAL_STRIDE)
    assert palette.WIDTH % constants.PIXELS_PER_TOKEN == palette.HEIGHT % constants.PIXELS_PER_TOKEN == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_frame_follows_from_seed_and_number(seed):
    backwards = [frame(scene_of(seed), number) for number in (FAR, 3, 0)]
    forwards = frames(scene_of(seed), 0, 4)
    assert np.array_equal(backwards[1], forwards[3])
    assert np.array_equal(backwards[2], forwards[0])
    assert np.array_equal(backwards[0], frame(scene_of(seed), FAR))
    assert forwards.shape == (4, *SHAPE)
    assert forwards.dtype == np.uint8


def test_scenes_differ():
    pictures = [frame(scene_of(seed), 0) for seed in range(6)]
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(pictures, 2))


def test_every_choice_is_made():
    scenes = [scene_of(seed) for seed in range(400)]
    assert {scene.action for scene in scenes} == set(ACTIONS)
    assert {scene.grip for scene in scenes} == {LEFT, RIGHT, BOTH}
    assert {scene.product.colour for scene in scenes} == set(palette.PRODUCTS)
    assert {scene.person.shirt for scene in scenes} == set(palette.SHIRTS)
    words = {word for scene in scenes for word in scene.prompt.split()}
    assert words < set(vocabulary())
    assert not set(palette.SHIRTS) & set(palette.PRODUCTS)  # a word has one meaning


@pytest.mark.parametrize("number", [0, 19, 33, FAR])
def test_palms_touch_the_product(number):
    for scene in every_kind():
        found = grip_distances(scene, pose_at(scene, number))
        assert set(found) == set(scene.holding)
        assert list(found.values()) == pytest.approx([GRIP] * len(found), abs=1e-3), scene.prompt


@pytest.mark.parametrize("number", [5, 22])
def test_hands_and_product_stay_in_the_picture(number):
    for scene in every_kind():
        labels = draw_labels(scene, pose_at(scene, number))
        boxes = hand_boxes(labels)
        assert set(boxes) == set(TABLE_HANDS), scene.prompt
        right = [hand for hand in boxes.values() if hand[2] > palette.WIDTH - 0.3 or hand[0] < 0.3]
        assert right == [], scene.prompt


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_enclose_what_is_seen(seed):
    labels = draw_labels(scene_of(seed), pose_at(scene_of(seed), 40))
    boxes = {FACE: face_box(labels)} | {HAND_LABELS[TABLE_HANDS[name]]: box for name, box in hand_boxes(labels).items()}
    assert len(boxes) == 3
    for label, box in boxes.items():
        rows, columns = np.nonzero(labels == label)
        assert box == [
            round(side / SCALE, 2) for side in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        ]
    left, right = hand_boxes(labels)["l_h"], hand_boxes(labels)["r_h"]
    assert left[0] + left[2] > right[0] + right[2]  # the presenter's left hand is on the right of the picture


def test_boxes_have_the_training_tables_keys():
    face, hands = training_boxes(scene_of(3), 73, 80)
    assert list(face) == list(hands) == [f"frame_{number}" for number in range(2, 80, 4)]
    assert hands["frame_2"] == hand_boxes(draw_labels(scene_of(3), pose_at(scene_of(3), 75)))


def test_the_label_map_is_the_picture():
    """What is labelled product has the product's colour, and what is not has another."""
    scene = scene_of(5)
    labels = draw_labels(scene, pose_at(scene, 12))[1::SCALE, 1::SCALE]
    picture = frame(scene, 12).astype(int)
    near = abs(picture - np.array(scene.product.rgb)).sum(axis=-1) < 30
    assert near[labels == PRODUCT].mean() > 0.3
    assert near[labels != PRODUCT].mean() < 0.01


def test_hoi_shows_the_body_in_grey_and_the_product_in_colour():
    scene = scene_of(5)
    pose = pose_at(scene, 12)
    picture, labels = draw_hoi(scene, pose).astype(int), draw_labels(scene, pose)[1::SCALE, 1::SCALE]
    colourful = np.ptp(picture, axis=-1) > 40
    assert picture.shape == SHAPE
    assert colourful[labels == PRODUCT].mean() > 0.4
    assert colourful[labels != PRODUCT].mean() < 0.01


def test_reference_pictures():
    scene = scene_of(8)
    person, product = person_picture(scene), product_picture(scene)
    assert person.shape == product.shape == SHAPE
    assert (product[:4] == 255).all()
    assert (abs(person.astype(int) - np.array(scene.product.rgb)).sum(axis=-1) > 30).all()
    changed = replace(scene, action="lifts", phase=0.2, lean=1.0)
    assert np.array_equal(person_picture(changed), person)


@pytest.mark.parametrize("shape", SHAPES)
def test_prints_stay_inside_of_the_rim(shape):
    for top, bottom in ((BAND_TOP, BAND_BOTTOM), *((top, top + STRIPE_HEIGHT) for top in STRIPE_TOPS)):
        for x, y in stripe(shape, top, bottom):
            assert distance(outline(shape) * INNER, (x, y)) < 0.05


def test_a_bottles_cap_is_seen_on_white_paper():
    scene = scene_of(0)
    product = replace(scene.product, shape="bottle", colour="red", size=1.0)
    picture = product_picture(replace(scene, product=product)).astype(int)
    top = picture[: palette.HEIGHT // 2 - 30]
    assert (np.ptp(top, axis=-1) > 60).sum() > 40
