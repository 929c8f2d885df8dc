"""Speech: checks, 16 kHz mono for the encoder, its hidden states at 25 frames a second, and the window of a clip.

Video frame n of the output belongs to feature n, at any length: clip r reads features 80 r and on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..constants import (
    AUDIO_FEATURE_RATE,
    AUDIO_FIELD_SAMPLES,
    AUDIO_SAMPLE_RATE,
    AUDIO_STRIDE_SAMPLES,
    CLIP_FRAMES,
    REFERENCE_AUDIO_WINDOW,
    VIDEO_FPS,
)
from ..errors import InputError

SHORTEST_SECONDS = 0.2
SILENCE_PEAK = 1e-4  # -80 dB: quieter than the noise of any recording
LOUDEST_PEAK = 4.0  # +12 dB: more than any recording in floats goes over full scale
LOWEST_RATE = 4000  # samples a second; below, no vowel can be told from another


def check_speech(waveform: Tensor, rate: int) -> None:
    """Refuse what cannot be speech.

    Args:
        waveform: `[B, C, T]` of a host AUDIO.
        rate: samples a second.

    Raises:
        InputError: no sample rate of speech, no samples, NaN or infinity, under 0.2 s, silence (also of channels that
            cancel each other out, for the encoder hears their mean), or far beyond full scale.
    """
    if rate <= 0:
        raise InputError(f"audio has a sample rate of {rate} Hz, but a rate above 0 is expected; load the file again.")
    if rate < LOWEST_RATE:
        raise InputError(
            f"audio has a sample rate of {rate} Hz, but at least {LOWEST_RATE} is expected of speech; load the file "
            "with Load Audio."
        )
    if waveform.ndim != 3:
        raise InputError(
            f"audio has shape {tuple(waveform.shape)}, but [count, channels, samples] is expected; wire an AUDIO."
        )
    if waveform.numel() == 0:
        raise InputError("audio is empty, but speech is expected; load a file with sound.")
    spoken = waveform[:1]
    if not torch.isfinite(spoken).all():
        raise InputError(
            "audio holds values that are not numbers (NaN or infinity), but samples from -1 to 1 are expected; "
            "export the recording again."
        )
    seconds = spoken.shape[-1] / rate
    if seconds < SHORTEST_SECONDS:
        raise InputError(
            f"audio is {seconds:.3f} s long, but at least {SHORTEST_SECONDS} s of speech is expected; "
            "use a longer recording."
        )
    peak = spoken.abs().max().item()
    if peak < SILENCE_PEAK:
        raise InputError(
            f"audio is silent (its loudest sample is {peak:.6f} of 1), but speech is expected; "
            "check the recording or the channel."
        )
    if peak > LOUDEST_PEAK:
        raise InputError(
            f"audio reaches {peak:.6g}, but samples from -1 to 1 are expected; divide it by its full scale, or load "
            "the file with Load Audio."
        )
    mixed = spoken[0].float().mean(dim=0).abs().max().item()
    if mixed < SILENCE_PEAK:
        raise InputError(
            f"audio is silent once its {spoken.shape[1]} channels are mixed, for they cancel each other out, but "
            "speech is expected; use one channel alone."
        )


def speech_frames(samples: int, rate: int) -> int:
    """Frames a video needs to last as long as `samples` samples: the last, begun frame counts."""
    return -(-samples * VIDEO_FPS // rate)


def mono_at_16k(waveform: Tensor, rate: int) -> Tensor:
    """What the speech encoder hears: the mean of the channels at 16 kHz, as `librosa.load` gives it (PIPE).

    Args:
        waveform: `[B, C, T]`; the first of a batch counts.
        rate: samples a second.

    Returns:
        `[T]` float32 on the CPU.
    """
    mono = waveform[0].detach().float().cpu().mean(dim=0)
    if rate == AUDIO_SAMPLE_RATE:
        return mono
    import librosa

    return torch.from_numpy(librosa.resample(mono.numpy(), orig_sr=rate, target_sr=AUDIO_SAMPLE_RATE))


def pad_to_clips(mono: Tensor, clips: int) -> Tensor:
    """Speech `[T]` at 16 kHz followed by silence to the end of a clip, at least of clip number `clips`.

    The length makes the encoder answer with exactly two hidden states per frame.  Longer speech is not cut, so that
    the first clips hear the same whether or not later ones are made.
    """
    per_clip = CLIP_FRAMES * AUDIO_SAMPLE_RATE // VIDEO_FPS
    clips = max(clips, math.ceil(len(mono) / per_clip))
    states = clips * CLIP_FRAMES * AUDIO_FEATURE_RATE // VIDEO_FPS
    samples = (states - 1) * AUDIO_STRIDE_SAMPLES + AUDIO_FIELD_SAMPLES
    return F.pad(mono, (0, samples - len(mono)))


def features_at_25fps(layers: Tensor, frames: int | None) -> Tensor:
    """Hidden states at 25 frames a second, by linear interpolation from the first state to the last (WAV).

    Frame k reads state 2k at the start and 2k + 1 at the end of the speech, however long: at most 20 ms off.

    Args:
        layers: `[layers, states, audio_dim]`, 50 states a second.
        frames: keep the first so many; None keeps all, counted as the reference counts them.

    Returns:
        `[layers, audio_dim, frames]` float32.
    """
    states = layers.shape[1]
    if frames is None:
        # in this order the rounding of the division may cost a frame (58 states make 28), and it does in the reference
        length = int(states / AUDIO_FEATURE_RATE * VIDEO_FPS)
    else:
        length = states * VIDEO_FPS // AUDIO_FEATURE_RATE
    by_layer = rearrange(layers.float(), "layer time width -> layer width time")
    return F.interpolate(by_layer, size=max(length, 1), mode="linear", align_corners=True)[..., :frames]


def features_at(features: Tensor, numbers: Tensor) -> Tensor:
    """Features by their numbers, zero past the end of the speech.

    Args:
        features: `[layers, audio_dim, frames]`.
        numbers: `[count]` whole numbers, from 0.

    Returns:
        `[1, layers, audio_dim, count]`.
    """
    heard = numbers < features.shape[-1]
    window = features.new_zeros(1, *features.shape[:2], len(numbers))
    window[..., heard] = features[..., numbers[heard]]
    return window


def clip_window(features: Tensor, clip: int, reference_behaviour: bool = False) -> Tensor:
    """Features of one clip, zero past the end of the speech.

    Args:
        features: `[layers, audio_dim, frames]` at 25 frames a second.
        clip: number of the clip, from 0.
        reference_behaviour: windows of 81 features, 81 apart, as in PIPE:1602: the speech runs ahead of the picture by
            one more frame in every clip.

    Returns:
        `[1, layers, audio_dim, 80]`, or 81 features in reference behaviour.
    """
    count = REFERENCE_AUDIO_WINDOW if reference_behaviour else CLIP_FRAMES
    return features_at(features, torch.arange(clip * count, (clip + 1) * count))
