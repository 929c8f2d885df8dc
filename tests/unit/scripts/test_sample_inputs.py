"""The sample inputs the project draws, and those of one's own."""

from __future__ import annotations

import numpy as np
import probe_video
import pytest
from PIL import Image
from tiny import sample_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("input")
    sample_inputs.main([str(folder)])
    return folder


@pytest.mark.parametrize("name", [sample_inputs.PERSON, sample_inputs.PRODUCT])
def test_pictures(inputs, name):
    with Image.open(inputs / name) as picture:
        assert picture.size == sample_inputs.SIZE
        assert picture.mode == "RGB"
        assert len(picture.getcolors(1 << 20)) > 200


def test_speech_has_voice_and_a_pause(inputs):
    seen = probe_video.probe(inputs / sample_inputs.SPEECH)
    assert seen["audio"]["seconds"] == pytest.approx(sample_inputs.SECONDS)
    assert not seen["silent"]
    loudness = np.abs(sample_inputs.speech()).reshape(42, -1).max(axis=1)
    assert loudness.max() == pytest.approx(0.6)
    assert (loudness < 0.01).any()


def test_pose_video_moves_and_covers_the_speech(inputs):
    seen = probe_video.probe(inputs / sample_inputs.POSE)
    assert (seen["width"], seen["height"]) == sample_inputs.SIZE
    assert seen["fps"] == sample_inputs.FPS
    assert seen["seconds"] == pytest.approx(sample_inputs.SECONDS)
    assert not seen["constant"]


def test_a_still_picture_is_constant(inputs, tmp_path, monkeypatch):
    first = sample_inputs.pose_frame(0)
    monkeypatch.setattr(sample_inputs, "pose_frame", lambda number: first)
    sample_inputs.write_pose(tmp_path / "still.mp4")
    seen = probe_video.probe(tmp_path / "still.mp4")
    assert seen["constant"]
    assert seen["silent"]


def test_own_samples_take_their_place(tmp_path):
    mine, target = tmp_path / "mine", tmp_path / "input"
    mine.mkdir()
    Image.new("RGB", (20, 30), "red").save(mine / "person_7.jpg")
    Image.new("RGBA", (20, 30), "blue").save(mine / "product.png")
    sample_inputs.write_speech(mine / "anything.wav")
    sample_inputs.main([str(target), "--samples", str(mine)])
    with Image.open(target / sample_inputs.PERSON) as person:
        assert (person.size, person.format) == ((20, 30), "PNG")
    assert (target / sample_inputs.SPEECH).read_bytes() == (mine / "anything.wav").read_bytes()
    assert probe_video.probe(target / sample_inputs.POSE)["frames"] == 105  # the project's own


def test_published_samples_are_found(samples):
    found = sample_inputs.find_samples(samples)
    assert {name: path.parent.name for name, path in found.items()} == {
        sample_inputs.PERSON: "demo",
        sample_inputs.PRODUCT: "demo",
        sample_inputs.SPEECH: "demo",
        sample_inputs.POSE: "pose",
    }


def test_a_missing_sample_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no person file: put a person\*\.png there\.$"):
        sample_inputs.find_samples(tmp_path)
