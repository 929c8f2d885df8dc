"""The sound of a file stands where its time stamps put it, at its own level."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.speech import mono_at_16k
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.media.sound import read_audio, read_sound
from cointeract_pack.tests.unit.media.media_files import clip

RATE = 8000
FRAMES = [n / 25 for n in range(50)]


def click(second: float, seconds: float = 2.0) -> np.ndarray:
    """Silence with one loud moment."""
    samples = np.zeros((1, round(seconds * RATE)), dtype=np.float32)
    samples[0, round(second * RATE)] = 0.9
    return samples


def heard_at(path) -> float:
    waveform, rate = read_audio(path)
    return int(waveform[0, 0].abs().argmax()) / rate


@pytest.mark.parametrize("late", [0.0, 0.46, 1.2])
def test_late_sound_has_silence_in_front(tmp_path, late):
    path = clip(tmp_path / "c.mov", FRAMES, click(0.5), sound_from=late)
    assert heard_at(path) == pytest.approx(0.5 + late, abs=0.002)
    assert len(read_sound(path).notes) == (late > 0)


def test_early_sound_is_cut_to_the_picture(tmp_path):
    path = clip(tmp_path / "c.mkv", [0.7 + time for time in FRAMES], click(1.0))
    assert heard_at(path) == pytest.approx(0.3, abs=0.002)
    assert read_sound(path).notes == (
        "the sound starts 0.70 s before the picture: what is heard before it is left out.",
    )


def test_the_published_late_sound(faults):
    sound = read_sound(faults / "late_sound" / "clip.mp4")
    assert sound.notes == ("the sound starts 0.46 s after the picture: silence stands in front of it.",)
    silent = int(0.45 * sound.rate)
    assert sound.waveform[0, :, :silent].abs().max() == 0
    assert sound.waveform.shape[-1] / sound.rate == pytest.approx(144384 / 44100 + 20110 / 44100, abs=0.05)


def test_a_hole_in_the_sound_is_silent(tmp_path):
    """Two stretches of sound with a second of nothing between them."""
    import av

    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in (0, 2 * RATE):
            frame = av.AudioFrame.from_ndarray(np.full((1, RATE), 8192, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    waveform, _ = read_audio(path)
    assert waveform.shape[-1] == 3 * RATE
    levels = [waveform[0, 0, second * RATE + 100 : (second + 1) * RATE - 100].mean().item() for second in range(3)]
    assert levels == pytest.approx([0.25, 0, 0.25], abs=1e-3)


def test_damaged_time_stamps_are_named(tmp_path):
    """A day of silence would fill the memory."""
    import av

    path = tmp_path / "jump.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in (0, 95000 * RATE):
            frame = av.AudioFrame.from_ndarray(np.full((1, RATE), 8192, np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(InputError) as refusal:
        read_audio(path)
    assert str(refusal.value) == (
        "its sound jumps from second 1.00 to 95000.00, but times that follow each other are expected; export it as wav."
    )


@pytest.mark.parametrize(
    ("codec", "form", "dtype", "value"),
    [
        ("pcm_u8", "u8", np.uint8, 192),
        ("pcm_s16le", "s16", np.int16, 16384),
        ("pcm_s24le", "s32", np.int32, 1 << 30),
        ("pcm_s32le", "s32", np.int32, 1 << 30),
        ("pcm_f32le", "flt", np.float32, 0.5),
        ("pcm_f64le", "dbl", np.float64, 0.5),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_of_every_kind_come_as_floats(tmp_path, codec, form, dtype, value, channels):
    import av

    path = tmp_path / "c.wav"
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.full((1, 400 * channels), value, dtype), format=form, layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    waveform, rate = read_audio(path)
    assert (waveform.shape, waveform.dtype, rate) == ((1, channels, 400), torch.float32, RATE)
    assert torch.allclose(waveform, torch.tensor(0.5), atol=1e-4)


def test_channels_are_mixed_as_in_generating(tmp_path):
    """Both go through the mean of the channels; a file and the AUDIO that ComfyUI makes of it sound alike."""
    stereo = np.stack([click(0.5)[0], click(0.7)[0]])
    path = clip(tmp_path / "c.mov", FRAMES, stereo)
    mono = mono_at_16k(*read_audio(path))
    direct = mono_at_16k(torch.from_numpy(stereo)[None], RATE)
    assert (mono - direct).abs().max() < 1e-3
