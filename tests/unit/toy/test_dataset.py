"""A written folder is read by the pack as it is, and written only once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cointeract_pack.cointeract_core import constants
from cointeract_pack.cointeract_core.media.picture import read_picture
from cointeract_pack.cointeract_core.media.sound import read_sound
from cointeract_pack.cointeract_core.media.video import read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table
from cointeract_pack.toy import dataset
from cointeract_pack.toy.held_out import PARTS, TRAINING
from cointeract_pack.toy.world import palette, voice
from cointeract_pack.toy.world.render import frames, hoi_frames, person_picture
from cointeract_pack.toy.world.scene import scene_of

COUNT = 40  # frames of a clip
SIZE = VideoSize(palette.WIDTH, palette.HEIGHT)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with two clips of one scene, motion and HOI."""
    folder = tmp_path_factory.mktemp("toy")
    assert dataset.main([str(folder), "--scenes", "1", "--clips", "2", "--frames", str(COUNT), "--first", "4"]) == 0
    return folder


def checked(folder, latents=COUNT // constants.TEMPORAL_STRIDE):
    return check_table(folder / dataset.TABLE, size=SIZE, max_pixels=SIZE.width * SIZE.height, latents=latents)


def test_numbers_of_the_pack():
    assert dataset.MOTION == constants.MOTION_FRAMES
    assert dataset.LONGEST == constants.CLIP_FRAMES
    assert dataset.STEP == constants.TEMPORAL_STRIDE


def test_training_data_reads_it_without_a_word(written):
    found = checked(written)
    assert found.report == "2 of 2 rows can be used."
    for row in found.rows:
        assert row.latents == COUNT // constants.TEMPORAL_STRIDE
        assert not row.plan.resampled
        assert row.plan.motion == tuple(range(constants.MOTION_FRAMES))
        assert row.plan.hoi == row.plan.target


def test_what_is_read_is_what_was_drawn(written):
    first, second = (row.row for row in checked(written).rows)
    scene = scene_of(int(first.input_video.parent.name.split("_")[0]))

    def bytes_of(image):
        return (image.numpy() * 255).round().astype(np.uint8)

    def pictures(path, count):
        return bytes_of(read_frames(path, range(count), SIZE))

    begin, count = dataset.MOTION, COUNT
    assert np.array_equal(pictures(first.input_video, count), frames(scene, begin, count))
    assert np.array_equal(pictures(first.motion_video, begin), frames(scene, 0, begin))
    assert np.array_equal(pictures(second.hoi_video, 9), hoi_frames(scene, begin + count, 9))
    assert np.array_equal(bytes_of(read_picture(first.person_image, "person")), person_picture(scene))
    sound = read_sound(second.audio)
    assert sound.rate == voice.RATE
    wanted = voice.samples(scene.seed, begin + count, count)
    assert np.allclose(sound.waveform[0, 0].numpy(), wanted, atol=1e-4)


def test_finished_clips_are_not_made_again(written, capsys):
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*.mp4")}
    half = written / dataset.CLIPS / ".0000009_0073.part"
    half.mkdir()
    assert dataset.main([str(written), "--scenes", "1", "--clips", "2", "--frames", str(COUNT), "--first", "4"]) == 0
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*.mp4")} == before
    assert "2 of 2 clips, 0 of them made" in capsys.readouterr().err
    half.rmdir()


def test_short_clips_without_more(tmp_path):
    folder = tmp_path / "short clips"
    assert dataset.main([str(folder), "--scenes", "1", "--frames", "16", "--no-motion", "--no-hoi"]) == 0
    found = checked(folder, latents=4)
    assert found.report == "1 of 1 rows can be used."
    assert found.rows[0].plan.motion is None
    assert found.rows[0].plan.hoi is None
    assert found.rows[0].latents == 4


def test_other_settings_or_seeds_are_refused(written, capsys):
    assert dataset.main([str(written), "--scenes", "1", "--frames", "16"]) == 1
    assert "choose another folder" in capsys.readouterr().err
    assert dataset.main([str(written), "--scenes", "1", "--frames", "15"]) == 1
    assert "multiple of 4" in capsys.readouterr().err
    assert dataset.main([str(written), "--scenes", "1", "--first", str(PARTS[TRAINING].end)]) == 1
    assert "choose one of them" in capsys.readouterr().err


def test_clips_of_a_scene_follow_each_other():
    clips = list(dataset.clips_of(PARTS[TRAINING], dataset.Settings(), 2, 3))
    assert [clip.first for clip in clips] == [73, 153, 233] * 2
    assert len({clip.scene.seed for clip in clips}) == 2


def test_the_toy_needs_nothing_of_the_pack(repo):
    """Its commands run where neither the pack nor a ComfyUI can be imported."""
    imports = "import sys, toy.dataset, toy.sheet, toy.metrics.table"
    code = f"{imports}; assert not {{'torch', 'comfy', 'nodes'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_others_speak_with_voices_that_are_known(tmp_path):
    options = ["--scenes", "2", "--frames", "8", "--no-motion", "--no-hoi"]
    assert dataset.main([str(tmp_path / "own"), *options]) == 0
    assert dataset.main([str(tmp_path / "lent"), *options, "--first", "5000", "--voices", "0"]) == 0
    own, lent = ([row.row for row in checked(tmp_path / name, latents=2).rows] for name in ("own", "lent"))
    speakers = [scene.seed for scene in PARTS[TRAINING].take(2)]
    for ours, theirs, speaker in zip(own, lent, speakers, strict=True):
        assert ours.audio.read_bytes() == theirs.audio.read_bytes()
        assert ours.person_image.read_bytes() != theirs.person_image.read_bytes()
        drawn = frames(replace(scene_of(int(theirs.input_video.parent.name[:7])), seed=speaker), dataset.MOTION, 8)
        read = read_frames(theirs.input_video, range(8), SIZE)
        assert np.array_equal((read.numpy() * 255).round().astype(np.uint8), drawn)
