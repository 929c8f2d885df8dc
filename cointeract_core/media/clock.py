"""Time stamps of frames: whether they keep a steady rate, and which frame is seen when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..constants import VIDEO_FPS
from ..errors import InputError

SLOWEST_FPS, FASTEST_FPS = 1.0, 480.0
STEADY_SECONDS = 0.5 / VIDEO_FPS  # off its place by less, a frame still is the nearest one
MOST_AHEAD = 2 / VIDEO_FPS  # seconds; from there on lips are seen to miss the sound
LONGEST_LAST = 1.0  # seconds the last frame is believed to stay
TINY = 1e-6  # seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """When frames are shown.

    Attributes:
        fps: the tag of steady frames, the mean of others.
        times: seconds from the first frame, of frames that are not evenly spaced; empty for steady ones.
        end: seconds from the first frame to the end of the last.
    """

    fps: float
    times: tuple[float, ...]
    end: float


def read_clock(name: str, tag: float, stamps: Sequence[float | None], lasting: float | None) -> Clock:
    """Look at the time stamps of all frames.

    Args:
        name: of the file, for errors.
        tag: frames a second, as the file says; 0 where it does not.
        stamps: seconds, in the order the frames are shown.
        lasting: seconds of the whole stream, as the file says.

    Raises:
        InputError: a rate no clip has, or time stamps that are missing or run backwards.
    """
    count = len(stamps)
    known = np.array([stamp for stamp in stamps if stamp is not None])
    places = np.flatnonzero([stamp is not None for stamp in stamps])
    since = known - known[0] if len(known) else known
    mean = float((places[-1] - places[0]) / since[-1]) if len(since) > 1 and since[-1] > 0 else tag
    steady = next((rate for rate in (tag, mean) if rate > 0 and _keeps(since, places, rate)), None)
    rate = steady or mean
    if not SLOWEST_FPS <= rate <= FASTEST_FPS:
        raise InputError(
            f"{name} is tagged {rate:g} frames a second, but {SLOWEST_FPS:g} to {FASTEST_FPS:g} are expected; "
            f"export it again at {VIDEO_FPS}."
        )
    if steady is not None:
        return Clock(steady, (), count / steady)
    if len(known) < count or (np.diff(since) < 0).any():
        raise InputError(
            f"{name} has frames without a time or with times that run backwards, but each frame's time is expected; "
            f"export it again at a constant {VIDEO_FPS}."
        )
    last = float(since[-1])
    end = lasting if lasting is not None and last < lasting <= last + LONGEST_LAST else last + 1 / rate
    return Clock(rate, tuple(since.tolist()), end)


def _keeps(since: np.ndarray, places: np.ndarray, rate: float) -> bool:
    if not len(since):
        return True
    return bool(np.abs(since - (places - places[0]) / rate).max() <= STEADY_SECONDS + TINY)


def frames_by_time(times: Sequence[float], end: float) -> list[int]:
    """For each frame of 25 a second the frame nearest in time, but none more than two frames early.

    In a gap the frame before it stays, as in a player.

    Args:
        times: seconds from the first frame, ascending.
        end: seconds.
    """
    chosen, index = [], 0
    for number in range(max(1, int(end * VIDEO_FPS + 0.5))):
        moment = number / VIDEO_FPS
        while index + 1 < len(times) and times[index + 1] - moment <= min(moment - times[index], MOST_AHEAD) + TINY:
            index += 1
        chosen.append(index)
    return chosen
