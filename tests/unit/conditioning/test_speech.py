"""Speech: what is refused, and that video and speech stay together at any length."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import soundfile
import torch

from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.conditioning.speech import (
    check_speech,
    clip_window,
    features_at,
    features_at_25fps,
    mono_at_16k,
    pad_to_clips,
    speech_frames,
)
from cointeract_pack.cointeract_core.errors import InputError

RATE = 16000


def tone(seconds: float, rate: int = RATE, channels: int = 1) -> torch.Tensor:
    times = torch.arange(round(seconds * rate)) / rate
    waves = [0.5 * torch.sin(2 * torch.pi * (220 + 110 * channel) * times) for channel in range(channels)]
    return torch.stack(waves)[None]


def hidden_states(samples: int) -> int:
    """States wav2vec2 answers with: seven convolutions, as in its published configuration."""
    for kernel, stride in [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]:
        samples = (samples - kernel) // stride + 1
    return samples


@pytest.mark.parametrize(
    ("waveform", "rate", "sentence"),
    [
        (tone(1), 0, "audio has a sample rate of 0 Hz, but a rate above 0 is expected; load the file again."),
        (torch.zeros(1, 1, 0), RATE, "audio is empty, but speech is expected; load a file with sound."),
        (torch.zeros(1, 0, 9), RATE, "audio is empty, but speech is expected; load a file with sound."),
        (
            tone(1)[0],
            RATE,
            "audio has shape (1, 16000), but [count, channels, samples] is expected; wire an AUDIO.",
        ),
        (
            torch.zeros(1, 1, RATE),
            RATE,
            "audio is silent (its loudest sample is 0.000000 of 1), but speech is expected; check the recording or "
            "the channel.",
        ),
        (
            tone(1) * 1e-4,
            RATE,
            "audio is silent (its loudest sample is 0.000050 of 1), but speech is expected; check the recording or "
            "the channel.",
        ),
        (
            tone(0.19),
            RATE,
            "audio is 0.190 s long, but at least 0.2 s of speech is expected; use a longer recording.",
        ),
        (
            torch.full((1, 1, RATE), torch.nan),
            RATE,
            "audio holds values that are not numbers (NaN or infinity), but samples from -1 to 1 are expected; "
            "export the recording again.",
        ),
    ],
)
def test_what_is_no_speech_is_refused(waveform, rate, sentence):
    with pytest.raises(InputError) as refusal:
        check_speech(waveform, rate)
    assert str(refusal.value) == sentence


def test_speech_is_accepted():
    check_speech(tone(0.2), RATE)
    check_speech(tone(1, 44100, 6), 44100)


@pytest.mark.parametrize(
    ("samples", "rate", "frames"),
    [
        (16000, 16000, 25),
        (16001, 16000, 26),
        (15999, 16000, 25),
        (141120, 44100, 80),
        (141121, 44100, 81),
        (1, 8000, 1),
    ],
)
def test_a_begun_frame_counts(samples, rate, frames):
    assert speech_frames(samples, rate) == frames


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_encoder_hears_what_librosa_loads(tmp_path, rate, channels):
    waveform = tone(0.5, rate, channels)
    file = tmp_path / "speech.wav"
    soundfile.write(file, waveform[0].T.numpy(), rate, subtype="FLOAT")
    expected, _ = librosa.load(file, sr=RATE)
    mono = mono_at_16k(waveform, rate)
    assert mono.dtype == torch.float32
    np.testing.assert_allclose(mono.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("clips", [1, 2, 3, 100])
def test_padded_speech_gives_two_states_per_frame(clips):
    for frames in (80 * clips, 80 * clips - 79):
        padded = pad_to_clips(torch.ones(frames * 640), clips)
        assert hidden_states(len(padded)) == 2 * 80 * clips
        assert padded[: frames * 640].eq(1).all()
        assert padded[frames * 640 :].eq(0).all()


def test_longer_speech_is_not_cut():
    speech = torch.ones(200 * 640)
    assert len(pad_to_clips(speech, 1)) == len(pad_to_clips(speech, 3)) == 240 * 640 + 80


@pytest.mark.parametrize("clips", [1, 2, 3, 100])
def test_speech_and_video_do_not_drift(clips):
    """A state that holds its own number shows which moment of the speech each video frame hears."""
    frames = 80 * clips - 13
    plan = plan_video(frames, 1)
    states = torch.arange(2 * 80 * clips).float()[None, :, None]
    features = features_at_25fps(states, 80 * clips)
    assert features.shape == (1, 1, 80 * clips)
    heard = torch.cat([clip_window(features, clip.index)[0, 0, 0, : clip.keep_frames] for clip in plan.clips])
    assert len(heard) == frames
    early = heard / 50 - torch.arange(frames) / 25
    assert early.min() >= -1e-3  # 1 ms of float32 at 16000 states
    assert early.max() <= 0.020 + 1e-3


def test_reference_behaviour_drifts_by_a_frame_per_clip():
    features = torch.arange(400).float()[None, None]
    starts = [clip_window(features, clip, reference_behaviour=True)[0, 0, 0, 0].item() for clip in range(4)]
    assert starts == [0, 81, 162, 243]
    assert [clip_window(features, clip)[0, 0, 0, 0].item() for clip in range(4)] == [0, 80, 160, 240]


def test_a_window_is_zero_past_the_end_of_the_speech():
    features = torch.ones(25, 8, 100)
    assert clip_window(features, 1).shape == (1, 25, 8, 80)
    assert clip_window(features, 1).sum() == 25 * 8 * 20
    assert clip_window(features, 2).sum() == 0
    assert clip_window(features, 0, reference_behaviour=True).shape == (1, 25, 8, 81)


def test_a_window_leaves_the_features_alone():
    features = torch.ones(2, 3, 100)
    clip_window(features, 0).mul_(0)
    assert features.eq(1).all()


def test_features_are_read_by_number():
    features = torch.arange(100).float()[None, None]
    assert features_at(features, torch.tensor([3, 5, 7, 99, 100]))[0, 0, 0].tolist() == [3, 5, 7, 99, 0]


def test_the_reference_loses_a_frame_to_rounding_where_we_do_not():
    assert features_at_25fps(torch.zeros(1, 58, 1), None).shape[-1] == 28
    assert features_at_25fps(torch.zeros(1, 58, 1), 29).shape[-1] == 29
