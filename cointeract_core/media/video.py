"""Videos read as players show them: time stamps, turn, pixel shape and colours as the file says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ..conditioning.images import fill_picture
from ..conditioning.pose import resample_times
from ..errors import InputError
from ..shapes import VideoSize
from .clock import frames_by_time, read_clock
from .colour import ColourReader, read_colours
from .container import Source, open_media, other_streams_note, played_stream, source_name, starts_at, unreadable

if TYPE_CHECKING:
    from av import VideoFrame
    from av.buffer import Buffer
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

Fit = Callable[["Image", VideoSize], Tensor]
AGAIN = "a video is expected; export it again as mp4"
LONGEST_STEP = 0.25  # seconds a frame may stay without a word
LARGEST_PIXEL_SHAPE = 8.0  # width of a pixel by its height; beyond, the tag is damaged


@dataclass(frozen=True, slots=True)
class Footage:
    """What a video file says of itself.

    Attributes:
        path: the file, or a stream in memory.
        frames: pictures in it that can be read, counted.
        fps: its tag; the mean of frames that are not evenly spaced.
        width, height: as shown: turned, and with square pixels.
        times: seconds from the first frame, of frames that are not evenly spaced; empty for steady ones.
        end: seconds from the first frame to the end of the last, where there are `times`.
        first: number in the file of the first frame, where the video was trimmed.
        notes: what was decided, for the user.
    """

    path: Source
    frames: int
    fps: float
    width: int
    height: int
    times: tuple[float, ...] = ()
    end: float = 0.0
    first: int = 0
    notes: tuple[str, ...] = ()

    @property
    def steady(self) -> bool:
        """Whether its frames are evenly spaced."""
        return not self.times

    @property
    def seconds(self) -> float:
        """By its own tag, or its own time stamps."""
        return self.frames / self.fps if self.steady else self.end

    @property
    def size(self) -> VideoSize:
        """Width and height."""
        return VideoSize(self.width, self.height)

    def by_time(self) -> list[int]:
        """For each frame at 25 a second, the frame that stands there by its time stamp."""
        return resample_times(self.frames, self.fps) if self.steady else frames_by_time(self.times, self.end)


def probe_video(source: Source, window: tuple[float, float] = (0.0, 0.0)) -> Footage:
    """Count frames and read what the file says; every frame is decoded, so that damage is found before a run begins.

    Args:
        window: start and duration, in seconds of the file's clock, of what is left of a trimmed video; a duration of 0
            reaches to its end.

    Raises:
        InputError: no video that can be read to its end, with colours or times that cannot be followed.
    """
    import av

    name = source_name(source)
    try:
        with open_media(source) as file:
            stream = _played_video(name, file)
            tag, began = float(stream.average_rate or 0), starts_at(stream)
            lasting = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
            shown, stamps, notes = _look(name, file, stream)
            extra = other_streams_note(file.streams.video, stream, "videos")
    except av.FFmpegError as error:
        raise unreadable(source, f"a video ({error.strerror})", AGAIN) from error
    if shown is None:
        raise InputError(f"{name} has no frame that can be read, but {AGAIN}.")
    first, last = _trimmed(name, stamps, window)
    whole = (first, last) == (0, len(stamps))
    clock = read_clock(name, tag, stamps[first:last], lasting if whole and began is not None else None)
    said = tuple(note for note in (extra, *notes, _gap_note(clock.times)) if note)
    return Footage(
        source, last - first, clock.fps, shown.width, shown.height, clock.times, clock.end, first=first, notes=said
    )


def _look(
    name: str, file: InputContainer, stream: VideoStream
) -> tuple[VideoSize | None, list[float | None], list[str | None]]:
    """Shown size, time stamps of all frames, and notes."""
    stamps: list[float | None] = []
    notes: list[str | None] = []
    shown: VideoSize | None = None
    for number, packet in enumerate(file.demux(stream)):
        if packet.is_corrupt:
            raise InputError(
                f"{name} breaks off after {number} frames, but whole videos are expected; copy or export it again."
            )
        for frame in packet.decode():
            if shown is None:
                notes = [read_colours(name, frame, stream.codec_context).note()]
                shown = _shown_size(frame, stream)
            stamps.append(frame.time)
    return shown, stamps, notes


def _gap_note(times: Sequence[float]) -> str | None:
    """A sentence where one frame stays for long, else None."""
    steps = np.diff(times)
    if not len(steps) or steps.max() <= LONGEST_STEP:
        return None
    return (
        f"it has no frame for {steps.max():.2f} s from second {times[int(steps.argmax())]:.2f} on: the last one stays."
    )


def _trimmed(name: str, stamps: Sequence[float | None], window: tuple[float, float]) -> tuple[int, int]:
    """First frame of a trimmed video, and the one behind its last."""
    start, duration = window
    if not start and not duration:
        return 0, len(stamps)
    inside = [
        number
        for number, stamp in enumerate(stamps)
        if stamp is not None and stamp >= start and (not duration or stamp < start + duration)
    ]
    if not inside:
        raise InputError(
            f"{name} was trimmed to {duration:g} s from second {start:g} on, where it has no frame; trim it less."
        )
    return inside[0], inside[-1] + 1


def read_frames(source: Source, indices: Sequence[int], size: VideoSize, fit: Fit = fill_picture) -> Tensor:
    """Frames of a video, one at a time in memory before they are fitted.

    Args:
        indices: which frames, in any order, also more than once.
        fit: brings a frame to `size`, as `token_masks` does boxes: by default scaled to fill it, cut from the centre.

    Returns:
        `[len(indices), H, W, 3]` in 0-1.

    Raises:
        InputError: the video ends before one of them, or cannot be read.
    """
    return next(read_blocks(source, [indices], size, fit))


def read_blocks(
    source: Source, blocks: Sequence[Sequence[int]], size: VideoSize, fit: Fit = fill_picture
) -> Iterator[Tensor]:
    """As `read_frames`, for one group of frames after the other, in one pass through the file.

    Args:
        blocks: no block reaches back behind the last frame of the one before it.
    """
    import av

    last: tuple[int, Tensor] | None = None
    pictures = enumerate(_pictures(source))
    try:
        for block in blocks:
            places: dict[int, list[int]] = {}
            for place, index in enumerate(block):
                places.setdefault(index, []).append(place)
            out = torch.empty(len(block), size.height, size.width, 3)
            if last is not None and last[0] in places:
                out[places.pop(last[0])] = last[1]
            while places:
                found = next(pictures, None)
                if found is None:
                    raise InputError(
                        f"{source_name(source)} ends before frame {max(places)}, but its index promises more; export "
                        "it again as mp4."
                    )
                index, picture = found
                if index in places:
                    last = index, fit(picture(), size)
                    out[places.pop(index)] = last[1]
            yield out
    except av.FFmpegError as error:
        raise InputError(
            f"{source_name(source)} cannot be read to its end ({error.strerror}), but whole videos are expected; "
            "export it again as mp4."
        ) from error


def _pictures(source: Source) -> Iterator[Callable[[], Image]]:
    """For every frame, in the order they are shown, what makes its picture: only those in use are worth the work."""
    with open_media(source) as file:
        stream = _played_video(source_name(source), file)
        colours = ColourReader(source_name(source), stream.codec_context)
        for frame in file.decode(stream):
            yield partial(_picture, frame, stream, colours)


def _played_video(name: str, file: InputContainer) -> VideoStream:
    """The video a player shows, decoded on every core."""
    from av.codec.context import ThreadType

    stream = played_stream(file.streams.video)
    if stream is None:
        raise InputError(f"{name} holds no video, but {AGAIN}.")
    stream.thread_type = ThreadType.AUTO
    return stream


def _picture(frame: VideoFrame, stream: VideoStream, colours: ColourReader) -> Image:
    """A frame as it is shown, in 8 bits."""
    from PIL import Image

    turn, shape = _turn(frame), _square(frame, stream)
    picture = Image.fromarray(np.ascontiguousarray(colours.picture(frame)))
    if picture.size != shape:
        picture = picture.resize(shape, Image.Resampling.BICUBIC)
    if turn == (False, False, False):
        return picture
    pixels = np.asarray(picture)
    swap, mirror, flip = turn
    pixels = pixels.swapaxes(0, 1) if swap else pixels
    return Image.fromarray(np.ascontiguousarray(pixels[:: -1 if flip else 1, :: -1 if mirror else 1]))


def _shown_size(frame: VideoFrame, stream: VideoStream) -> VideoSize:
    width, height = _square(frame, stream)
    return VideoSize(height, width) if _turn(frame)[0] else VideoSize(width, height)


def _square(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height of a frame with square pixels; the shorter side grows, so that nothing is lost."""
    shape = float(stream.sample_aspect_ratio or 1)
    if not 1 / LARGEST_PIXEL_SHAPE <= shape <= LARGEST_PIXEL_SHAPE or shape == 1:
        return frame.width, frame.height
    return (round(frame.width * shape), frame.height) if shape > 1 else (frame.width, round(frame.height / shape))


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Whether a player swaps the axes of a frame, then mirrors it left to right, then upside down.

    The display matrix sends (x, y) to (a x + c y, b x + d y), with y downwards (ISO/IEC 14496-12, 8.3.2).
    """
    from av.sidedata.sidedata import Type

    side_data = cast("Mapping[Type, Buffer]", frame.side_data)  # PyAV's stubs know of motion vectors only
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
