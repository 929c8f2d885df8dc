"""The mp4 that grows clip by clip, read back with PyAV."""

from __future__ import annotations

import shutil

import av
import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.clips.writer import ClipWriter, load_frames

SECONDS = 6


def tone(rate: int, channels: int) -> torch.Tensor:
    return (0.3 * torch.sin(torch.arange(rate * SECONDS) * (440 * 6.2832 / rate))).expand(1, channels, -1)


def picture(count: int, start: int) -> torch.Tensor:
    """Frames whose brightness says their number."""
    return ((start + torch.arange(count)) / 200).view(-1, 1, 1, 1).expand(-1, 64, 48, 3).contiguous()


def read(path):
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in file.decode(video)]
        sound = file.streams.audio[0]
        seconds = float(sound.duration * sound.time_base)
        return levels, video.average_rate, seconds, (sound.rate, sound.layout.name)


@pytest.mark.parametrize(
    ("rate", "channels", "kept"),
    [
        (16000, 1, (16000, "mono")),
        (44100, 2, (44100, "stereo")),
        (96000, 1, (48000, "mono")),
        (8000, 6, (8000, "mono")),
    ],
)
def test_every_clip_leaves_a_whole_video(tmp_path, rate, channels, kept):
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", tone(rate, channels), rate)
    for start, count in ((0, 80), (80, 45)):
        writer.add(picture(count, start))
        levels, fps, seconds, sound = read(tmp_path / "ad.mp4")
        assert len(levels) == start + count
        assert fps == 25
        assert seconds == pytest.approx((start + count) / 25, abs=0.01)
        assert sound == kept
    expected = (np.arange(125) / 200 * 255).clip(max=255)
    assert np.abs(np.asarray(levels) - expected).max() < 4  # in order across the join, none lost or shown twice


def test_frames_come_back_in_eight_bits_and_the_folder_is_clean(tmp_path):
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", tone(16000, 1), 16000)
    frames = torch.rand(3, 64, 48, 3)
    writer.add(frames)
    assert (load_frames(writer.clip_files) - frames).abs().max() <= 0.5 / 255 + 1e-6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ad.mp4", "work"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", tone(16000, 1), 16000)
    writer.add(picture(10, 0))
    (tmp_path / "ad.mp4").write_bytes(b"damaged")
    with pytest.raises(av.FFmpegError):
        writer.add(picture(10, 10))
    assert (tmp_path / "ad.mp4").read_bytes() == b"damaged"
    assert not list(tmp_path.glob(".*part*"))
    assert writer.frames == 10


def test_an_emptied_work_folder_costs_nothing_but_the_frames(tmp_path):
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", tone(16000, 1), 16000)
    for start in (0, 10, 20):
        writer.add(picture(10, start))
        shutil.rmtree(tmp_path / "work")
    levels, *_ = read(tmp_path / "ad.mp4")
    assert len(levels) == 30
    assert levels == sorted(levels)


def test_two_runs_with_one_name_keep_out_of_each_others_way(tmp_path):
    writers = [ClipWriter(tmp_path / "ad.mp4", tmp_path / work, tone(16000, 1), 16000) for work in ("a", "b")]
    for start in (0, 10):
        for writer in writers:
            writer.add(picture(10, start))
    assert [writer.path.name for writer in writers] == ["ad.mp4", "ad2.mp4"]
    assert [len(read(writer.path)[0]) for writer in writers] == [20, 20]
