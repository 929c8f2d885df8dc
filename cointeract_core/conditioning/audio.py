"""What ComfyUI hands over as AUDIO, brought to floats from -1 to 1."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import InputError
from .speech import check_speech

ROWS_ALIKE = 0.8  # of the energy of steps from sample to sample; sound in one row is far above (speech: 2 to 4)
PARITY = 2.0  # how much odd and even steps may differ in energy in one row of sound; they are equal up to chance
MOST_CHANNELS = 8
STRANGERS = 1.5  # energy of steps by variance: 2 where neighbours have nothing in common
FEWEST_STEPS = 1000  # samples to tell it by
FEWEST_LARGE = 100  # of them steps of a tenth of the largest: one click or step of a signal tells nothing


def open_audio(audio: object) -> tuple[Tensor, int, list[str]]:
    """Waveform `[1, C, T]` float32 on the CPU, samples a second, and notes for the user.

    Whole numbers are scaled by their type, as nodes that read camera files hand them on.

    Raises:
        InputError: no sound at all, another form, or what `check_speech` refuses.
    """
    if audio is None:
        raise InputError(
            "audio is nothing, as of a video without sound, but speech is expected; load a recording with Load Audio."
        )
    given = [audio[name] for name in ("waveform", "sample_rate") if name in audio] if isinstance(audio, Mapping) else []
    if len(given) < 2 or not isinstance(given[1], int | float) or not math.isfinite(given[1]):
        raise InputError(
            f"audio is a {type(audio).__name__} without a waveform and its sample rate, but an AUDIO with both is "
            "expected; wire Load Audio."
        )
    waveform, rate = given[0], int(given[1])
    if not isinstance(waveform, Tensor) or waveform.is_complex() or waveform.dtype == torch.bool:
        what = waveform.dtype if isinstance(waveform, Tensor) else type(waveform).__name__
        raise InputError(f"audio has a waveform of {what}, but samples are expected; wire Load Audio.")
    waveform = waveform.detach().cpu()
    samples = scaled(waveform)
    if samples.ndim == 3 and samples.shape[1] == 1 and _interleaved(samples[0, 0]):
        raise InputError(
            "audio holds several channels one behind the other in one row, as ComfyUI's Get Video Components gives "
            "sound of camera files, but a row for each channel is expected; load the same file with Load Audio."
        )
    check_speech(samples, rate)
    notes = []
    if len(samples) > 1:
        notes.append(f"audio holds {len(samples)} recordings: the first is used.")
    return samples[:1], rate, notes


def scaled(samples: Tensor) -> Tensor:
    """Samples in float32, whole numbers brought to -1 to 1 by the range of their type."""
    if samples.is_floating_point():
        return samples.float()
    limits = torch.iinfo(samples.dtype)
    if limits.min == 0:  # unsigned sound is silent in the middle
        middle = (limits.max + 1) // 2
        return ((samples.double() - middle) / middle).float()
    return (samples.double() / -float(limits.min)).float()


def _interleaved(row: Tensor) -> bool:
    """Whether samples of several channels follow each other in one row.

    In sound, a sample is nearer to the next one than to those after it, and steps from even samples are as large as
    those from odd ones; in rows with several channels one of both fails.
    """
    if len(row) < FEWEST_STEPS:
        return False
    row = row.double()
    steps = {lag: (row[lag:] - row[:-lag]).square() for lag in range(1, MOST_CHANNELS + 1)}
    if (steps[1] > 0.01 * steps[1].max()).sum() < FEWEST_LARGE:
        return False
    even, odd = steps[1][::2].mean(), steps[1][1::2].mean()
    energy = {lag: step.mean().item() for lag, step in steps.items()}
    # a voice that was recorded coarsely comes back after some samples too, but its neighbours are near
    lags = energy if energy[1] > STRANGERS * row.var().item() else (2,)
    nearer = min(energy[lag] for lag in lags) < ROWS_ALIKE * energy[1]
    return nearer or bool(min(even, odd) * PARITY < max(even, odd))
