"""The synthetic voice: syllables whose loudness opens the mouth, as 16 kHz samples.

Everything follows from the seed and the time alone: a longer speech begins with the shorter one, sample for sample.
"""

from __future__ import annotations

import math

import numpy as np

from .chance import VOICE, VOICE_NOISE, stream
from .palette import FPS

RATE = 16000  # samples a second
SAMPLES_PER_FRAME = RATE // FPS
HARMONICS = 8
VOLUME = 0.25  # of the loudest fundamental
HISS = 0.003  # breath, so that silence is not digital zero
SHORTEST, LONGEST = 0.14, 0.32  # seconds of a syllable
SOUNDED = 0.8  # share of syllables; the others are gaps
PAUSED = 0.15  # share of syllables behind which the speaker breathes
SLOPE = 3.2  # standard deviations of its bell in the length of a syllable
REACH = 5.0  # standard deviations beyond which a syllable is not heard
OVERLAP = 0.9  # least step from syllable to syllable, in its length
LOWEST, HIGHEST = 90.0, 220.0  # Hz
VIBRATO = 0.05  # of the pitch
Curve = np.ndarray


def loudness(seed: int, times: Curve) -> Curve:
    """Loudness at these moments.

    Args:
        seed: of the scene.
        times: seconds from the scene's first frame, ascending, `[T]`.

    Returns:
        `[T]` float64 in 0-1.
    """
    out = np.zeros(len(times))
    if not len(times):
        return out
    for middle, spread, strength in _syllables(seed, float(times[0]), float(times[-1])):
        first, last = np.searchsorted(times, (middle - REACH * spread, middle + REACH * spread))
        out[first:last] += strength * np.exp(-0.5 * ((times[first:last] - middle) / spread) ** 2)
    return np.clip(out, 0.0, 1.0)


def frame_loudness(seed: int, first: int, count: int) -> Curve:
    """Loudness in the middle of each of `count` frames from `first` on, `[count]` in 0-1: how far the mouth is open."""
    return loudness(seed, (np.arange(first, first + count) + 0.5) / FPS)


def samples(seed: int, first: int, count: int) -> Curve:
    """The sound of `count` frames from frame `first` on, `[640 * count]` float32 in -1 to 1, at 16 kHz."""
    begin, end = first * SAMPLES_PER_FRAME, (first + count) * SAMPLES_PER_FRAME
    times = np.arange(begin, end) / RATE
    pitch, wobble = (float(part) for part in stream(seed, VOICE).random(2))
    pitch, wobble = LOWEST + (HIGHEST - LOWEST) * pitch, 2 + 2 * wobble
    # the integral of pitch * (1 + VIBRATO * sin(2 pi wobble t)): phases do not depend on where one begins
    turn = 2 * math.pi * wobble
    phase = 2 * math.pi * pitch * (times + VIBRATO * (1 - np.cos(turn * times)) / turn)
    tone = sum(np.sin(number * phase) / number for number in range(1, HARMONICS + 1))
    hiss = stream(seed, VOICE_NOISE).standard_normal(end)[begin:]
    return (VOLUME * loudness(seed, times) * tone + HISS * hiss).astype(np.float32)


def heard_loudness(sound: Curve) -> Curve:
    """Root mean square of each frame of a sound `[640 * T]`, `[T]`: what a listener without the seed knows."""
    whole = len(sound) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
    frames = sound[:whole].reshape(-1, SAMPLES_PER_FRAME).astype(np.float64)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)))


def _syllables(seed: int, since: float, until: float) -> list[tuple[float, float, float]]:
    """Middle and spread in seconds, and strength, of every syllable heard between two moments."""
    # the first two numbers are the pitch's; rows that follow are one syllable each, so more of them change none before
    random = stream(seed, VOICE)
    begin = 0.2 * float(random.random(3)[2])
    most = math.ceil((until + REACH * LONGEST) / (SHORTEST * OVERLAP)) + 1
    length, strength, sounded, step, paused, pause = random.random((most, 6)).T
    length = SHORTEST + (LONGEST - SHORTEST) * length
    steps = length * (OVERLAP + 0.4 * step) + np.where(paused < PAUSED, 0.15 + 0.25 * pause, 0.0)
    starts = begin + np.concatenate(([0.0], np.cumsum(steps)[:-1]))
    middles, spreads = starts + length / 2, length / SLOPE
    reach = REACH * spreads
    heard = (sounded < SOUNDED) & (middles - reach <= until) & (middles + reach >= since)
    return list(
        zip(middles[heard].tolist(), spreads[heard].tolist(), (0.5 + 0.5 * strength[heard]).tolist(), strict=True)
    )
