"""Metrics are right on renders, and the larger a known fault is, the more they say so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cointeract_pack.toy.held_out import PARTS, TEST
from cointeract_pack.toy.metrics.clip import correlation, jump
from cointeract_pack.toy.metrics.colours import Palette, parts
from cointeract_pack.toy.metrics.faults import Clip, drawn
from cointeract_pack.toy.metrics.frame import look
from cointeract_pack.toy.metrics.table import NAMES, faults, mean, measured
from cointeract_pack.toy.metrics.truth import truth_of
from cointeract_pack.toy.world.pose import pose_at
from cointeract_pack.toy.world.render import frame
from cointeract_pack.toy.world.scene import BOTH, scene_of
from cointeract_pack.toy.world.shapes import SHAPES

COUNT = 24  # frames of clean renders
FALLING = {"mouth"}  # metrics that are smaller where the fault is larger
KINDS = {
    name: list(kind) for name, kind in itertools.groupby(faults(), key=lambda fault: (fault.shows, fault.name[-4:]))
}


@pytest.fixture(scope="module")
def truths():
    """Three held-out scenes: two with one hand, one with both."""
    scenes = PARTS[TEST].take(12)
    one, two = ([scene for scene in scenes if (scene.grip == BOTH) == both] for both in (False, True))
    return [truth_of(scene) for scene in (*one[:2], two[0])]


@pytest.fixture(scope="module")
def clean(truths):
    return mean(measured(truths, count=COUNT))


def test_renders_are_right(clean):
    assert clean.product == 1
    assert clean.off_path < 0.7
    assert clean.held == 1
    assert clean.contact < 0.5
    assert abs(clean.signed) < 0.3
    assert clean.before < 0.05
    assert clean.hands < 0.08
    assert clean.mouth >= 0.95
    assert clean.jump < 1.3
    assert clean.jerk < 1


@pytest.mark.parametrize(("shows", "count"), [("contact", 6), ("hands", 8), ("mouth", 24), ("jump", 10), ("jerk", 10)])
def test_metrics_grow_with_their_fault(shows, count, truths):
    of_metric = [fault for fault in faults() if fault.shows == shows]
    assert of_metric
    for _, kind in itertools.groupby(of_metric, key=lambda fault: "into" in fault.name):
        some = list(kind)
        whole = [truth for truth in truths if not some[0].one_handed or truth.scene.grip != BOTH]
        values = [getattr(mean(measured(whole, fault, count=count)), shows) for fault in (None, *some)]
        steps = np.diff(values) * (-1 if shows in FALLING else 1)
        assert (steps > 0).all(), (some[0].name, values)


def test_moving_the_product_has_a_sign(truths):
    one_handed = [truth for truth in truths if truth.scene.grip != BOTH]
    moved = {fault.name: fault for fault in faults()}
    assert mean(measured(one_handed, moved["product 2 px away from the hand"], count=4)).signed > 0.5
    assert mean(measured(one_handed, moved["product 2 px into the hand"], count=4)).signed < -0.5


def test_the_holding_hand_is_told():
    """Of every action and hand; and that of a mirrored picture is the other one."""
    told = set()
    for scene in PARTS[TEST].take(24):
        picture = frame(scene, 30)
        palette = Palette(scene)
        assert set(look(picture, palette).palms) == set(scene.holding), scene.prompt
        mirrored = look(np.ascontiguousarray(picture[:, ::-1]), palette)
        assert set(mirrored.palms) == {-side for side in scene.holding}, scene.prompt
        told.add((scene.action, scene.grip))
    assert len(told) > 8


@pytest.mark.parametrize("seed", range(6))
def test_the_product_is_found_where_it_is(seed):
    scene = scene_of(seed)
    for number in (0, 20):
        seen = look(frame(scene, number), Palette(scene)).product
        centre = pose_at(scene, number).product.at
        assert seen is not None
        assert np.hypot(*(np.array(seen) - centre)) < 3.5


def test_another_product_is_not_taken_for_it():
    one = PARTS[TEST].take(1)[0]
    other = next(s for s in PARTS[TEST].scenes() if s.product.colour != one.product.colour and s.person == one.person)
    seen = look(frame(other, 0), Palette(one))
    assert seen.product is None or seen.own_colour < 0.5


def test_jump_and_correlation_of_plain_numbers():
    steps = np.array([0, 1, 2, 3, 13, 14, 15, 16], np.uint8)
    pictures = np.broadcast_to(steps[:, None, None, None], (8, 4, 4, 3))
    assert jump(pictures, (4,)) == pytest.approx(10)
    assert np.isnan(jump(pictures, ()))
    assert correlation(steps.astype(float), -steps.astype(float)) == pytest.approx(-1)
    assert correlation(np.ones(4), np.arange(4.0)) == 0


def test_parts_are_connected_and_ordered():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[2:4, 2:4] = mask[6, 5:8] = True
    assert [part.area for part in parts(mask, 2)] == [4, 3]
    assert parts(mask, 2)[0].middle == (2.5, 2.5)


def test_a_black_clip_is_measured_too(truths):
    black = np.zeros((8, 128, 96, 3), np.uint8)
    row = mean(measured(truths[:1], through=lambda pictures: black[: len(pictures)], count=8))
    assert (row.product, row.held, row.mouth) == (0, 0, 0)
    assert np.isnan(row.contact)
    assert set(NAMES) >= {"product", "held", "contact", "mouth", "jump"}


def test_a_skipped_frame_is_at_the_join():
    clip = Clip(scene_of(1), 10, 6, skipped=4)
    assert clip.numbers() == [10, 11, 12, 17, 18, 19]
    assert drawn(clip).shape == (6, 128, 96, 3)
    assert len(SHAPES) == 5
