"""AUDIO from ComfyUI: brought to floats from -1 to 1, or refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.audio import open_audio
from cointeract_pack.cointeract_core.conditioning.speech import check_speech
from cointeract_pack.cointeract_core.errors import InputError

RATE = 48000
KINDS = [(torch.uint8, 128, 128), (torch.int8, 0, 128), (torch.int16, 0, 1 << 15), (torch.int32, 0, 1 << 31)]


def voice(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Noise as a voice has it: most energy below 1 kHz, some above."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    spectrum = np.fft.rfft(noise)
    spectrum *= 1 / (1 + (np.fft.rfftfreq(len(noise), 1 / RATE) / 800) ** 2)
    sound = np.fft.irfft(spectrum, len(noise))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float64)


def whole(sound: np.ndarray, kind: torch.dtype, middle: int, full: int) -> torch.Tensor:
    return torch.from_numpy(np.rint(sound * (full - 1)) + middle).to(kind)


def audio(waveform, rate=RATE):
    return {"waveform": waveform, "sample_rate": rate}


@pytest.mark.parametrize(("kind", "middle", "full"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_whole_numbers_are_scaled_by_their_type(kind, middle, full, channels):
    sound = np.stack([voice(seed=seed) for seed in range(channels)])
    waveform, rate, notes = open_audio(audio(whole(sound, kind, middle, full)[None]))
    assert (waveform.shape, waveform.dtype, rate, notes) == ((1, channels, RATE), torch.float32, RATE, [])
    assert np.abs(waveform[0].numpy() - sound).max() < 2 / min(full, 1 << 20)


@pytest.mark.parametrize(
    "channels",
    [
        [voice(), voice()],
        [voice(), 0.3 * voice()],
        [voice(), 0 * voice()],
        [voice(), voice(seed=1)],
        [voice(), -voice()],
        [voice(seed=seed) for seed in range(6)],
    ],
    ids=["same", "quieter", "one silent", "different", "opposite", "six"],
)
@pytest.mark.parametrize("kind", [torch.int16, torch.int32, torch.float32])
def test_channels_in_one_row_are_refused(channels, kind):
    """A camera's stereo, as ComfyUI 0.3.75 hands it on: half as fast, and an octave lower."""
    row = np.stack(channels, axis=1).reshape(-1)
    whole_kind = not kind.is_floating_point
    row = whole(row, kind, 0, torch.iinfo(kind).max + 1) if whole_kind else torch.from_numpy(row).to(kind)
    with pytest.raises(InputError) as refusal:
        open_audio(audio(row[None, None]))
    assert str(refusal.value) == (
        "audio holds several channels one behind the other in one row, as ComfyUI's Get Video Components gives sound "
        "of camera files, but a row for each channel is expected; load the same file with Load Audio."
    )


def test_one_row_of_sound_is_taken_as_such():
    """Noise, clicks, steps and tones are no voices, but are in one row all the same."""
    random = torch.Generator().manual_seed(0)
    times = torch.arange(16000) / 16000 * 2 * torch.pi
    step, clicks = torch.zeros(16000), torch.zeros(16000)
    step[7001:] = 0.5
    clicks[::1501] = 0.9
    tones = [torch.sin(hertz * times) * 0.5 for hertz in (100, 440, 1000, 3000)]
    for sound in (torch.randn(16000, generator=random) * 0.2, step, clicks, torch.full((16000,), 0.1), *tones):
        assert open_audio(audio(sound[None, None], 16000))[0].shape == (1, 1, 16000)


def test_other_precisions_and_batches():
    sound = torch.from_numpy(voice())
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        assert open_audio(audio(sound[None, None].to(kind)))[0].dtype == torch.float32
    waveform, _, notes = open_audio(audio(torch.stack([sound, -sound])[:, None].float()))
    assert notes == ["audio holds 2 recordings: the first is used."]
    assert torch.equal(waveform[0, 0], sound.float())


@pytest.mark.parametrize(
    ("handed", "sentence"),
    [
        (
            None,
            "audio is nothing, as of a video without sound, but speech is expected; load a recording with Load Audio.",
        ),
        (
            torch.zeros(1, 1, RATE),
            "audio is a Tensor without a waveform and its sample rate, but an AUDIO with both is expected; wire Load "
            "Audio.",
        ),
        (
            {"waveform": torch.zeros(1, 1, RATE)},
            "audio is a dict without a waveform and its sample rate, but an AUDIO with both is expected; wire Load "
            "Audio.",
        ),
        (audio(None), "audio has a waveform of NoneType, but samples are expected; wire Load Audio."),
        (
            audio(torch.zeros(1, 1, RATE, dtype=torch.complex64)),
            "audio has a waveform of torch.complex64, but samples are expected; wire Load Audio.",
        ),
        (
            audio(torch.from_numpy(voice())[None].float()),
            "audio has shape (1, 48000), but [count, channels, samples] is expected; wire an AUDIO.",
        ),
        (
            audio(torch.from_numpy(voice())[None, None].float() * 32768),
            "audio reaches 16384, but samples from -1 to 1 are expected; divide it by its full scale, or load the file "
            "with Load Audio.",
        ),
        (
            audio(torch.from_numpy(voice())[None, None].float(), 1),
            "audio has a sample rate of 1 Hz, but at least 4000 is expected of speech; load the file with Load Audio.",
        ),
        (
            audio(torch.from_numpy(np.stack([voice(), -voice()]))[None].float()),
            "audio is silent once its 2 channels are mixed, for they cancel each other out, but speech is expected; "
            "use one channel alone.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(handed, sentence):
    with pytest.raises(InputError) as refusal:
        open_audio(handed)
    assert str(refusal.value) == sentence


def test_loud_masters_keep_their_headroom():
    check_speech(torch.from_numpy(voice())[None, None].float() * 6, RATE)
