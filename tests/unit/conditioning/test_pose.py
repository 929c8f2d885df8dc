"""Pose frames by time and by clip."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.pose import clip_pose, pose_note, resample_times
from cointeract_pack.cointeract_core.errors import InputError


@pytest.mark.parametrize(("fps", "frames"), [(25.0, 80), (24.0, 240), (23.976, 240), (30.0, 300), (50.0, 7), (12.5, 9)])
def test_every_frame_is_the_nearest_in_time(fps, frames):
    times = resample_times(frames, fps)
    assert abs(len(times) / 25 - frames / fps) <= 0.5 / 25
    for number, source in enumerate(times):
        nearest = min(range(frames), key=lambda index: abs(index / fps - number / 25))
        assert abs(source / fps - number / 25) <= abs(nearest / fps - number / 25) + 1e-9


def test_25_fps_stays_as_it_is():
    assert resample_times(81, 25.0) == list(range(81))


@pytest.mark.parametrize(
    ("frames", "fps", "sentence"),
    [
        (0, 25.0, "The pose has no frames, but at least one is expected; wire a pose video."),
        (9, 0.0, "fps is 0, but pose frames need a rate of at least 1; use the rate of the pose video."),
        (9, -25.0, "fps is -25, but pose frames need a rate of at least 1; use the rate of the pose video."),
        (9, float("nan"), "fps is nan, but pose frames need a rate of at least 1; use the rate of the pose video."),
        (9, float("inf"), "fps is inf, but pose frames need a rate of at least 1; use the rate of the pose video."),
    ],
)
def test_impossible_rates_are_refused(frames, fps, sentence):
    with pytest.raises(InputError) as refusal:
        resample_times(frames, fps)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("clip", [0, 1, 2])
def test_a_clip_has_its_own_80_frames_and_its_first_one_twice(clip):
    pose = (torch.arange(1, 201) / 255).view(-1, 1, 1, 1).expand(-1, 4, 4, 3)
    frames = clip_pose(pose, clip)[:, 0, 0, 0].mul(255).round().int().tolist()
    own = list(range(80 * clip + 1, 80 * clip + 81))
    assert frames == [own[0], *(number if number <= 200 else 0 for number in own)]


def test_after_its_end_the_pose_is_empty():
    assert clip_pose(torch.ones(80, 4, 4, 3), 1).shape == (81, 4, 4, 3)
    assert clip_pose(torch.ones(80, 4, 4, 3), 1).sum() == 0


def test_a_pose_that_ends_early_is_said():
    assert pose_note(80, 80) is None
    assert pose_note(100, 310) == (
        "The pose ends after 4.0 s and the speech after 12.4 s: from there on the video holds the empty pose."
    )
