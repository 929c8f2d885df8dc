"""The voice opens the mouth, and a longer one begins with the shorter."""

from __future__ import annotations

import numpy as np
import pytest

from cointeract_pack.cointeract_core import constants
from cointeract_pack.toy.metrics.clip import correlation
from cointeract_pack.toy.metrics.colours import Palette
from cointeract_pack.toy.metrics.frame import look
from cointeract_pack.toy.world import voice
from cointeract_pack.toy.world.render import frames
from cointeract_pack.toy.world.scene import scene_of

COUNT = 80


def test_rate_of_the_speech_encoder():
    assert voice.RATE == constants.AUDIO_SAMPLE_RATE


@pytest.mark.parametrize("seed", range(4))
def test_any_stretch_is_that_of_the_whole(seed):
    whole, loud = voice.samples(seed, 0, 400), voice.frame_loudness(seed, 0, 400)
    for first, count in ((0, 10), (73, 80), (313, 1)):
        stretch = slice(first * voice.SAMPLES_PER_FRAME, (first + count) * voice.SAMPLES_PER_FRAME)
        assert np.array_equal(voice.samples(seed, first, count), whole[stretch])
        assert np.array_equal(voice.frame_loudness(seed, first, count), loud[first : first + count])


def test_it_speaks_and_pauses_within_the_range():
    for seed in range(12):
        loud, sound = voice.frame_loudness(seed, 0, 250), voice.samples(seed, 0, 250)
        assert abs(sound).max() < 1
        assert loud.min() >= 0
        assert loud.max() <= 1
        assert 0.2 < loud.mean() < 0.8
        assert (loud < 0.1).any()
        assert loud[125:].max() > 0.5  # also late


@pytest.mark.parametrize("seed", range(5))
def test_the_sound_is_as_loud_as_the_mouth_is_open(seed):
    scene = scene_of(seed)
    palette = Palette(scene)
    mouth = np.array([look(picture, palette).mouth for picture in frames(scene, 73, COUNT)])
    assert correlation(mouth, voice.heard_loudness(voice.samples(seed, 73, COUNT))) >= 0.95
    assert correlation(mouth, voice.frame_loudness(seed, 73, COUNT)) >= 0.95
