"""What a video file says about time, turn, pixel shape and streams is followed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.media.video import probe_video, read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.frames import plan_frames
from cointeract_pack.tests.unit.media.media_files import clip, numbers

SMALL = VideoSize(64, 96)
SLOW_THEN_FAST = [*(n / 10 for n in range(16)), *(1.6 + n / 50 for n in range(80))]
FAST_THEN_SLOW = [*(n / 50 for n in range(60)), *(1.2 + n / 12 for n in range(24))]
WITH_A_GAP = [*(n / 25 for n in range(30)), *(2.2 + n / 25 for n in range(25))]


def written(tmp_path, times, **how):
    return clip(tmp_path / "clip.mkv", times, **how)


@pytest.mark.parametrize("times", [SLOW_THEN_FAST, FAST_THEN_SLOW, WITH_A_GAP], ids=["slow first", "fast first", "gap"])
def test_frames_are_taken_by_their_own_time_stamps(tmp_path, times):
    """No frame is farther from its moment than any other; in a gap the one before it stays, as in a player."""
    footage = probe_video(written(tmp_path, times))
    assert footage.seconds == pytest.approx(times[-1], abs=0.1)
    plan = plan_frames(footage, footage.seconds, 12)
    assert len(plan.target) == 48
    assert plan.resampled
    for place, index in enumerate(plan.target):
        nearest = min(abs(time - place / 25) for time in times)
        in_gap = times is WITH_A_GAP and index == 29
        assert abs(times[index] - place / 25) <= nearest + 2e-3 or in_gap
        assert times[index] - place / 25 <= 0.08 + 2e-3
    assert numbers(read_frames(tmp_path / "clip.mkv", [0, len(times) - 1], SMALL)) == [0, len(times) - 1]
    assert "each frame is taken by its own time stamp" in plan.notes[0]


def test_a_gap_is_said(tmp_path):
    notes = probe_video(written(tmp_path, WITH_A_GAP)).notes
    assert notes == ("it has no frame for 1.04 s from second 1.16 on: the last one stays.",)


def test_the_published_kind_of_uneven_pose(faults):
    """10 frames a second for 1.6 s, then 50; the mean of 30 leads to frames 1.08 s ahead."""
    footage = probe_video(faults / "vfr_pose" / "bug_vfr.mp4")
    times = footage.by_time()
    stamps = SLOW_THEN_FAST
    assert len(times) == 80
    assert max(abs(stamps[index] - place / 25) for place, index in enumerate(times)) <= 0.05 + 1e-6


def test_steady_videos_stay_as_they_were(tmp_path):
    """Time stamps rounded to a millisecond are steady."""
    footage = probe_video(written(tmp_path, [n / 30 for n in range(60)]))
    assert footage.steady
    assert footage.fps == pytest.approx(30, abs=0.05)


def test_a_rate_that_is_only_a_tag_does_not_count(tmp_path):
    """Browsers record WebM with any tag; the time stamps say 20 frames a second."""
    footage = probe_video(written(tmp_path, [n / 20 for n in range(40)]))
    assert (footage.steady, round(footage.fps, 1)) == (True, 20.0)


def test_videos_beside_follow_the_time_stamps_too(tmp_path):
    plain = probe_video(written(tmp_path, [n / 25 for n in range(96)]))
    uneven = probe_video(clip(tmp_path / "pose.mkv", [time * 3.84 / 3.2 for time in SLOW_THEN_FAST]))
    plan = plan_frames(plain, plain.seconds, 20, pose=uneven)
    stamps = [time * 3.84 / 3.2 for time in SLOW_THEN_FAST]
    assert max(abs(stamps[index] - place / 25) for place, index in enumerate(plan.pose)) <= 0.07


def test_motion_with_uneven_frames_ends_where_the_clip_begins(tmp_path):
    plain = probe_video(written(tmp_path, [n / 25 for n in range(40)]))
    uneven = probe_video(clip(tmp_path / "motion.mkv", SLOW_THEN_FAST))
    plan = plan_frames(plain, plain.seconds, 10, motion=uneven)
    assert len(plan.motion) == 73
    assert plan.motion[-1] >= 94
    moments = [uneven.seconds - (73 - place) / 25 for place in range(73)]
    assert max(abs(SLOW_THEN_FAST[index] - time) for index, time in zip(plan.motion, moments, strict=True)) <= 0.08


@pytest.mark.parametrize(("pixel", "size"), [(Fraction(2), (128, 96)), (Fraction(1, 2), (64, 192))])
def test_pixels_become_square(tmp_path, pixel, size):
    path = clip(tmp_path / "wide.mp4", [n / 25 for n in range(4)], pixel=pixel)
    footage = probe_video(path)
    assert footage.size == VideoSize(*size)
    assert read_frames(path, [1], footage.size).shape == (1, size[1], size[0], 3)


def matrix_file(clip_folder, name, corner):
    """A video with a display matrix; its left quarter is dark."""
    data = bytearray(clip_folder.video(f"plain {name}.mp4", 2).read_bytes())
    plain = b"".join(number.to_bytes(4, "big") for number in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
    at = data.index(plain, data.index(b"tkhd"))
    a, b, c, d = ((number * 0x10000).to_bytes(4, "big", signed=True) for number in corner)
    data[at : at + 20] = a + b + bytes(4) + c + d
    path = clip_folder.path / f"{name}.mp4"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "corner", "dark"),
    [
        ("mirrored", (-1, 0, 0, 1), np.s_[:, -12:]),
        ("upside down", (1, 0, 0, -1), np.s_[:, :12]),
        ("quarter and mirrored", (0, 1, 1, 0), np.s_[:12, :]),
        ("other quarter and mirrored", (0, -1, -1, 0), np.s_[-12:, :]),
    ],
)
def test_a_mirrored_video_is_mirrored(clip_folder, name, corner, dark):
    """Selfie cameras write a matrix that mirrors; Chromium and mpv follow it."""
    path = matrix_file(clip_folder, name, corner)
    footage = probe_video(path)
    frame = read_frames(path, [1], footage.size)[0]
    assert frame[dark].max() < 0.06 < frame.mean()


def test_the_video_that_players_show_is_read(tmp_path):
    path = clip(tmp_path / "two.mkv", [n / 25 for n in range(10)], second=True)
    assert numbers(read_frames(path, [3, 9], SMALL)) == [3, 9]
    assert probe_video(path).notes == ("it holds 2 videos: number 2 is used, as players do.",)


def test_a_transparent_video_is_laid_on_black(tmp_path):
    import av

    path = tmp_path / "cut out.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "argb"
        pixels = np.full((96, 64, 4), 255, np.uint8)
        pixels[:, :32, 3] = 0  # white below, but transparent
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="argb")))
        out.mux(stream.encode(None))
    frame = read_frames(path, [1], SMALL)[0]
    assert frame[:, :30].max() == 0
    assert frame[:, 34:].min() == 1


def test_times_without_a_rate_are_refused(clip_folder):
    with pytest.raises(InputError) as refusal:
        probe_video(clip_folder.video("a frame in two seconds.mp4", 5, 0.5))
    assert "is tagged 0.5 frames a second, but 1 to 480 are expected" in str(refusal.value)


def test_blocks_read_a_file_once(tmp_path):
    from cointeract_pack.cointeract_core.media.video import read_blocks

    path = written(tmp_path, [n / 25 for n in range(20)])
    blocks = list(read_blocks(path, [[0, 0, 1], [1, 4], [], [4, 9]], SMALL))
    assert [numbers(block) if len(block) else [] for block in blocks] == [[0, 0, 1], [1, 4], [], [4, 9]]
    assert torch.equal(blocks[1][1], blocks[3][0])
