"""The sound of a file on the clock of its picture, in floats from -1 to 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .container import Source, open_media, other_streams_note, played_stream, source_name, starts_at, unreadable

if TYPE_CHECKING:
    from av import AudioResampler
    from av.audio import AudioStream
    from av.container import InputContainer

SPEECH = "speech is expected; export it as wav"
LONGEST_SILENCE, LONGEST_OVERLAP = 600.0, 0.5  # seconds; beyond, time stamps are damaged
JITTER = 0.02  # seconds; time stamps of containers are rounded, and lips are not seen to be off by so little


@dataclass(frozen=True, slots=True)
class Sound:
    """The whole sound of a file.

    Attributes:
        waveform: `[1, channels, samples]` float32; its first sample is heard with the first frame of the file's video.
        rate: samples a second.
        notes: what was decided, for the user.
    """

    waveform: Tensor
    rate: int
    notes: tuple[str, ...] = ()


def read_audio(source: Source) -> tuple[Tensor, int]:
    """Waveform and rate of `read_sound`."""
    sound = read_sound(source)
    return sound.waveform, sound.rate


def read_sound(source: Source) -> Sound:
    """The whole sound of a file.

    Time stamps are kept: beside a video, sound that starts late has silence in front and sound that starts early loses
    what is heard before the picture; gaps are silent.

    Raises:
        InputError: no sound that can be read.
    """
    import av

    name = source_name(source)
    try:
        with open_media(source) as file:
            stream = played_stream(file.streams.audio)
            if stream is None:
                raise InputError(f"{name} holds no sound, but {SPEECH}.")
            rate = stream.rate
            video = played_stream(file.streams.video)
            begin = None if video is None else starts_at(video)
            extra = other_streams_note(file.streams.audio, stream, "sounds")
            blocks, offset = _placed(_sound_blocks(file, stream), rate, begin)
    except av.FFmpegError as error:
        raise unreadable(source, f"sound ({error.strerror})", SPEECH) from error
    if not blocks:
        raise InputError(f"{name} has no samples, but speech is expected; export it again as wav.")
    notes = tuple(note for note in (extra, _offset_note(offset)) if note)
    return Sound(torch.from_numpy(np.concatenate(blocks, axis=1))[None], rate, notes)


def _placed(
    pieces: Iterator[tuple[float | None, np.ndarray]], rate: int, begin: float | None
) -> tuple[list[np.ndarray], float]:
    """Pieces of sound one behind the other, with silence in gaps; and how late the first one starts, in seconds.

    Args:
        pieces: seconds on the file's clock, or None behind the one before, and samples `[channels, samples]`.
        begin: seconds at which the picture begins; None where there is none, and the sound is its own clock.

    Raises:
        InputError: time stamps that jump far ahead, or back.
    """
    blocks: list[np.ndarray] = []
    filled, offset = 0, 0.0
    expected: int | None = None
    for time, samples in pieces:
        if expected is None:
            offset = 0.0 if begin is None or time is None else time - begin
            begin = begin if begin is not None else time
        place = (expected or 0) if time is None or begin is None else round((time - begin) * rate)
        if expected is not None and abs(place - expected) <= JITTER * rate:
            place = expected
        if place > filled + LONGEST_SILENCE * rate or (expected or place) - place > LONGEST_OVERLAP * rate:
            raise InputError(
                f"its sound jumps from second {filled / rate:.2f} to {place / rate:.2f}, but times that follow each "
                "other are expected; export it as wav."
            )
        expected = place + samples.shape[1]
        if place > filled:
            blocks.append(np.zeros((len(samples), place - filled), dtype=np.float32))
        samples = samples[:, max(filled - place, 0) :]
        if samples.shape[1]:
            blocks.append(samples)
        filled = max(filled, expected)
    return blocks, offset


def _offset_note(offset: float) -> str | None:
    if abs(offset) <= JITTER:
        return None
    if offset > 0:
        return f"the sound starts {offset:.2f} s after the picture: silence stands in front of it."
    return f"the sound starts {-offset:.2f} s before the picture: what is heard before it is left out."


def _sound_blocks(file: InputContainer, stream: AudioStream) -> Iterator[tuple[float | None, np.ndarray]]:
    """Float samples frame by frame, each with its time."""
    import av

    form: tuple[str, str, int] | None = None
    resampler: AudioResampler | None = None
    for frame in file.decode(stream):
        own = frame.format.name, frame.layout.name, frame.sample_rate
        if resampler is None or own != form:
            if form is not None and own[1:] != form[1:]:
                raise InputError(
                    f"its sound changes from {form[2]} Hz {form[1]} to {frame.sample_rate} Hz {frame.layout.name}, but "
                    "one kind is expected; export it as wav."
                )
            form = own
            resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
        for block in resampler.resample(frame):
            yield frame.time, block.to_ndarray()
