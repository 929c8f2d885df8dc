"""The frame table: which source frame stands where, and how tags that lie are seen through."""

from __future__ import annotations

from pathlib import Path

import pytest

from cointeract_pack.cointeract_core.media.video import Footage
from cointeract_pack.cointeract_core.training.table.frames import FrameError, plan_frames


def footage(frames: int, fps: float) -> Footage:
    return Footage(Path("clip.mp4"), frames, fps, 64, 96)


def plan(frames=81, fps=25.0, seconds=3.24, latents=20, **beside):
    return plan_frames(footage(frames, fps), seconds, latents, **{name: footage(*it) for name, it in beside.items()})


def test_the_published_row_is_taken_frame_by_frame():
    made = plan(81, 24, 3.24, motion=(73, 24), hoi=(81, 25), pose=(81, 25))
    assert made.target == made.hoi == made.pose == tuple(range(80))
    assert made.motion == tuple(range(73))
    assert made.latents == 20
    assert made.notes == (
        "input_video is tagged 24 fps, but its 81 frames last as long as the audio (3.24 s) at 25: taken frame by "
        "frame.",
        "hoi_video has 81 frames at 25 fps beside 81 of input_video: taken frame by frame with it.",
        "pose_video has 81 frames at 25 fps beside 81 of input_video: taken frame by frame with it.",
        "motion_video is tagged 24 fps, but taken frame by frame like input_video, which has the same tag.",
    )


def test_plain_25_fps_needs_no_words():
    made = plan(motion=(73, 25), hoi=(81, 25), pose=(81, 25))
    assert made.notes == ()
    assert made.target == tuple(range(80))


def test_true_30_fps_is_resampled_by_time():
    made = plan(97, 30, 3.24, motion=(120, 30), hoi=(97, 30))
    assert len(made.target) == 80
    assert all(abs(index / 30 - place / 25) <= 0.5 / 30 + 1e-9 for place, index in enumerate(made.target))
    assert made.hoi == made.target  # the same frames show the same moments
    assert made.notes[0] == "input_video runs at 30 fps for the 3.24 s of the audio: resampled by time."
    # the last 73 moments before the clip begins, at 120 / 30 = 4 s
    assert (made.motion[0], made.motion[-1]) == (32, 119)
    assert all(abs(index / 30 - (4 - (73 - place) / 25)) <= 0.5 / 30 + 1e-9 for place, index in enumerate(made.motion))


def test_true_24_fps_is_resampled_where_the_sound_says_so():
    made = plan(78, 24, 3.25, hoi=(81, 25))
    assert made.target[-1] == 76  # 79 / 25 s is frame 75.84
    assert made.hoi == tuple(range(80))
    assert made.notes == (
        "input_video runs at 24 fps for the 3.25 s of the audio: resampled by time.",
        "hoi_video has 81 frames at 25 fps: resampled by time.",
    )


def test_videos_beside_of_another_rate_follow_the_time():
    made = plan(81, 25, 3.24, pose=(97, 30), hoi=(41, 12.5))
    assert made.pose[:6] == (0, 1, 2, 4, 5, 6)
    assert made.hoi[:6] == (0, 1, 1, 2, 2, 3)
    assert len(made.pose) == len(made.hoi) == 80


def test_a_frame_less_beside_repeats_its_last():
    made = plan(80, 25, 3.2, hoi=(79, 25))
    assert made.hoi[-2:] == (78, 78)
    assert made.notes == ("hoi_video has 79 frames at 25 fps beside 80 of input_video: taken frame by frame with it.",)


@pytest.mark.parametrize(
    ("frames", "seconds", "latents"),
    [(81, 3.24, 20), (80, 3.2, 20), (80, 3.16, 20), (79, 3.16, 19), (80, 3.1, 19), (42, 1.68, 10), (8, 0.32, 2)],
)
def test_shorter_footage_gives_fewer_latents(frames, seconds, latents):
    made = plan(frames, 25, seconds)
    assert made.latents == latents
    assert made.target == tuple(range(4 * latents))
    shorter = f"input_video and audio give {latents} of 20 latents ({4 * latents} frames): a shorter clip."
    assert (shorter in made.notes) == (latents < 20)


def test_longer_footage_is_cut_at_the_wanted_latents():
    assert plan(1000, 25, 40.0, latents=30).target == tuple(range(120))
    assert plan(1000, 25, 40.0, latents=30).notes == ()


def test_sound_of_another_length_is_said():
    made = plan(81, 25, 10.0)
    assert made.notes == ("audio lasts 10.00 s and input_video 3.24 s: both are used from the beginning.",)
    assert made.target == tuple(range(80))


@pytest.mark.parametrize(
    ("motion", "first", "last"),
    [
        ((73, 24), 0, 72),  # tagged like the input: counted like it
        ((100, 24), 27, 99),
        ((73, 30), 0, 72),  # exactly as many as it takes
        ((100, 25), 27, 99),
        ((100, 30), 12, 99),  # by time: 83 frames at 25
        ((75, 12.5), 39, 74),  # 150 frames at 25
    ],
)
def test_motion_ends_with_its_last_frame(motion, first, last):
    made = plan(81, 24, 3.24, motion=motion)
    assert len(made.motion) == 73
    assert (made.motion[0], made.motion[-1]) == (first, last)


def test_motion_of_resampled_footage_is_resampled_too():
    with pytest.raises(FrameError) as refusal:
        plan(97, 30, 3.24, motion=(73, 30))  # 2.4 s, not the 2.9 s before the clip
    assert refusal.value.column == "motion_video"


def test_target_latents_hold_the_same_moments_with_motion_and_without():
    """The alignment of the frame table, through the VAE's grouping: the first frame alone, then four by four."""
    made = plan(81, 24, 3.24, motion=(73, 24), hoi=(81, 25))
    joint = [("motion", index) for index in made.motion] + [("target", index) for index in made.target]
    alone = [("person", 0)] + [("target", index) for index in made.target]
    beside = [("hoi", made.hoi[0])] + [("hoi", index) for index in made.hoi]

    def latents(frames):
        return [frames[:1]] + [frames[1 + 4 * k : 5 + 4 * k] for k in range((len(frames) - 1) // 4)]

    assert latents(joint)[19:] == latents(alone)[1:]
    numbers = [[index for _, index in latent] for latent in latents(alone)[1:]]
    assert numbers == [[4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3] for k in range(20)]
    assert [[index for _, index in latent] for latent in latents(beside)[1:]] == numbers
    assert all(name == "motion" for latent in latents(joint)[:19] for name, _ in latent)


@pytest.mark.parametrize(
    ("arguments", "column", "sentence"),
    [
        (
            {"frames": 60, "fps": 30},
            "input_video",
            "it lasts 2.00 s by its tag of 30 fps and 2.40 s at 25, but the audio lasts 3.24 s; export it at 25 fps, "
            "or cut both to the same length.",
        ),
        (
            {"frames": 7},
            "input_video",
            "it lasts 0.28 s, but at least 0.32 s (8 frames at 25 a second) are expected; use a longer clip.",
        ),
        (
            {"seconds": 0.25},
            "audio",
            "it lasts 0.25 s, but at least 0.32 s (8 frames at 25 a second) are expected; use a longer clip.",
        ),
        (
            {"hoi": (40, 25)},
            "hoi_video",
            "it lasts 1.60 s (40 frames at 25 fps), but input_video lasts 3.24 s (81 frames); export it with a frame "
            "for each of input_video's.",
        ),
        (
            {"pose": (120, 30)},
            "pose_video",
            "it lasts 4.00 s (120 frames at 30 fps), but input_video lasts 3.24 s (81 frames); export it with a frame "
            "for each of input_video's.",
        ),
        (
            {"motion": (72, 25)},
            "motion_video",
            "it gives 72 frames at 25 a second, but the 73 before the clip are expected; use a longer one, or leave "
            "the cell empty.",
        ),
        (
            {"motion": (80, 30)},
            "motion_video",
            "it gives 67 frames at 25 a second, but the 73 before the clip are expected; use a longer one, or leave "
            "the cell empty.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arguments, column, sentence):
    with pytest.raises(FrameError) as refusal:
        plan(**arguments)
    assert (refusal.value.column, str(refusal.value)) == (column, sentence)
