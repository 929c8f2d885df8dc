"""Videos, sounds and pictures read back from real files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.media.picture import read_picture
from cointeract_pack.cointeract_core.media.sound import read_audio
from cointeract_pack.cointeract_core.media.video import probe_video, read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize

SMALL = VideoSize(64, 96)


def numbers(frames: torch.Tensor) -> list[int]:
    """Which frames of the folder's videos these are, by their brightness."""
    levels = frames[:, :, 32:].mean(dim=(1, 2, 3)) * 255
    return [round((level - 20) / 2) for level in levels.tolist()]


@pytest.mark.parametrize(("frames", "fps"), [(81, 25), (81, 24), (97, 30), (10, 30000 / 1001)])
def test_a_video_is_counted(clip_folder, frames, fps):
    footage = probe_video(clip_folder.video(f"probe{frames}_{fps:.0f}.mp4", frames, fps))
    assert (footage.frames, footage.size) == (frames, SMALL)
    assert footage.fps == pytest.approx(fps)
    assert footage.seconds == pytest.approx(frames / fps)


def test_a_trimmed_video_counts_what_is_shown(clip_folder):
    """Phones trim by an edit list; the frames behind it stay in the file."""
    data = bytearray(clip_folder.video("untrimmed.mp4", 81).read_bytes())
    length = data.index(b"elst") + 12
    data[length : length + 4] = (1600).to_bytes(4, "big")  # ms
    trimmed = clip_folder.path / "trimmed.mp4"
    trimmed.write_bytes(data)
    assert probe_video(trimmed).frames == 40
    assert numbers(read_frames(trimmed, [0, 33], SMALL)) == [0, 33]


def test_frames_come_in_any_order_and_more_than_once(clip_folder):
    frames = read_frames(clip_folder.path / "clip.mp4", [0, 80, 5, 5, 33], SMALL)
    assert frames.shape == (5, 96, 64, 3)
    assert numbers(frames) == [0, 80, 5, 5, 33]
    assert frames.min() >= 0
    assert frames.max() <= 1


def test_frames_fill_the_size_and_are_cut_from_the_centre(clip_folder):
    """128x96 is scaled to 128x96 and loses 32 columns on either side, as boxes do; the dark quarter is those."""
    path = clip_folder.video("wide source.mp4", 3, size=(128, 96))
    whole = read_frames(path, [2], VideoSize(128, 96))
    cut = read_frames(path, [2], SMALL)
    assert whole[:, :, :28].max() < 0.1
    assert torch.equal(cut, whole[:, :, 32:96])


@pytest.mark.parametrize(("turn", "dark"), [(90, np.s_[:12, :]), (270, np.s_[-12:, :]), (180, np.s_[:, -12:])])
def test_a_turned_video_is_turned_back(clip_folder, turn, dark):
    """A phone writes a landscape picture and a matrix; the dark quarter on its left goes where the matrix says."""
    path = clip_folder.video("upright.mp4", 2)
    data = bytearray(path.read_bytes())
    one = (0x10000).to_bytes(4, "big")
    minus = (-0x10000).to_bytes(4, "big", signed=True)
    zero = bytes(4)
    plain = one + zero * 3 + one + zero * 3 + (0x40000000).to_bytes(4, "big")
    at = data.index(plain, data.index(b"tkhd"))
    corner = {90: [zero, one, minus, zero], 180: [minus, zero, zero, minus], 270: [zero, minus, one, zero]}[turn]
    a, b, c, d = corner
    data[at : at + 36] = a + b + zero + c + d + zero * 3 + plain[-4:]
    turned = clip_folder.path / f"turned{turn}.mp4"
    turned.write_bytes(data)
    footage = probe_video(turned)
    assert footage.size == (SMALL if turn == 180 else VideoSize(96, 64))
    frame = read_frames(turned, [1], footage.size)[0]
    assert frame[dark].max() < 0.06 < frame.mean()


def test_sound_is_read_whole(clip_folder):
    waveform, rate = read_audio(clip_folder.path / "speech.wav")
    assert (waveform.shape, rate, waveform.dtype) == ((1, 1, 25920), 8000, torch.float32)
    assert waveform.abs().max() == pytest.approx(0.3, abs=1e-3)


def test_channels_stay_apart(tmp_path, clip_folder):
    import wave

    path = tmp_path / "stereo.wav"
    samples = np.stack([np.full(400, 8192), np.full(400, -16384)], axis=1).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(samples.tobytes())
    waveform, rate = read_audio(path)
    assert rate == 22050
    assert torch.equal(waveform, torch.tensor([[0.25], [-0.5]]).expand(1, 2, 400))


def test_a_picture_keeps_its_transparency_and_its_turn(tmp_path):
    Image.new("RGBA", (20, 30), (255, 0, 0, 51)).save(tmp_path / "cut out.png")
    picture = read_picture(tmp_path / "cut out.png", "product_image")
    assert picture.shape == (30, 20, 4)
    assert picture[0, 0].tolist() == pytest.approx([1, 0, 0, 0.2])
    turned = Image.new("RGB", (40, 20))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(tmp_path / "phone.jpg", exif=exif)
    assert read_picture(tmp_path / "phone.jpg", "person_image").shape == (40, 20, 3)


def test_grey_of_16_bits_is_scaled(tmp_path):
    Image.fromarray(np.full((20, 30), 32768, np.uint16)).save(tmp_path / "grey.png")
    picture = read_picture(tmp_path / "grey.png", "product_image")
    assert picture.shape == (20, 30, 3)
    assert picture.mean() == pytest.approx(0.5, abs=0.003)


def test_a_video_that_breaks_off_is_refused(clip_folder):
    with pytest.raises(InputError) as refusal:
        read_frames(clip_folder.path / "clip.mp4", [0, 81], SMALL)
    assert str(refusal.value) == (
        "“clip.mp4” ends before frame 81, but its index promises more; export it again as mp4."
    )
