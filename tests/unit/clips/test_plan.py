"""From the length of the speech to clips, and from decoded frames to the video."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.conditioning.motion import last_motion
from cointeract_pack.cointeract_core.errors import InputError


@pytest.mark.parametrize(
    ("frames", "clips", "last"), [(1, 1, 1), (80, 1, 80), (81, 2, 1), (160, 2, 80), (240, 3, 80), (8000, 100, 80)]
)
def test_the_video_is_exactly_as_long_as_the_speech(frames, clips, last):
    plan = plan_video(frames, 1)
    assert len(plan.clips) == clips
    assert plan.clips[-1].keep_frames == last
    assert sum(clip.keep_frames for clip in plan.clips) == plan.frames == frames


@pytest.mark.parametrize("clips", [1, 2, 3, 100])
def test_clips_follow_one_another_without_gap_or_overlap(clips):
    plan = plan_video(80 * clips - 7, 1)
    shown = [frame for clip in plan.clips for frame in range(clip.start_frame, clip.start_frame + clip.keep_frames)]
    assert shown == list(range(80 * clips - 7))
    assert [clip.seed_offset for clip in plan.clips] == list(range(clips))


def test_prompts_are_given_out_and_the_last_used_again():
    assert [clip.prompt for clip in plan_video(400, 2).clips] == [0, 1, 1, 1, 1]


def test_the_number_of_clips_can_be_limited():
    plan = plan_video(310, 1, max_clips=2)
    assert (len(plan.clips), plan.frames, plan.speech_frames) == (2, 160, 310)
    assert plan_video(310, 1, max_clips=9) == plan_video(310, 1)


@pytest.mark.parametrize(("frames", "limit", "clips"), [(80, None, 1), (81, None, 2), (166, None, 3), (166, 2, 2)])
def test_reference_behaviour_counts_windows_of_81_and_trims_nothing(frames, limit, clips):
    plan = plan_video(frames, 1, limit, reference_behaviour=True)
    assert len(plan.clips) == clips
    assert plan.frames == 80 * clips
    assert all(clip.keep_frames == 80 for clip in plan.clips)


@pytest.mark.parametrize(
    ("frames", "limit", "line"),
    [
        (310, None, "12.4 s -> 4 clips, last clip trimmed to 70 of 80 frames"),
        (80, None, "3.2 s -> 1 clip"),
        (310, 2, "12.4 s -> 2 clips, the first 6.4 s of the speech"),
    ],
)
def test_the_plan_in_one_line(frames, limit, line):
    assert plan_video(frames, 1, limit).describe() == line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1), "The speech has 0 frames, but at least 1 is expected; use a longer recording."),
        ((80, 1, 0), "max_clips is 0, but at least 1 is expected; leave it at 0 to cover the speech."),
        ((80, 1, -2), "max_clips is -2, but at least 1 is expected; leave it at 0 to cover the speech."),
        ((80, 0), "prompts is empty, but at least one prompt is expected; describe what is seen in the video."),
    ],
)
def test_impossible_plans_are_refused(arguments, sentence):
    with pytest.raises(InputError) as refusal:
        plan_video(*arguments)
    assert str(refusal.value) == sentence


def test_motion_is_the_last_73_frames_in_float():
    frames = torch.rand(80, 2, 2, 3)
    assert last_motion(frames).equal(frames[7:])


def test_too_few_frames_for_motion_are_refused():
    with pytest.raises(InputError, match="previous_frames holds 72 frames, but a clip continues from the last 73"):
        last_motion(torch.zeros(72, 2, 2, 3))
