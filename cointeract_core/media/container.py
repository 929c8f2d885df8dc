"""Media files as containers: opening, the streams a player would play, and their names in errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.stream import Stream

StreamT = TypeVar("StreamT", bound="Stream")
Source = Path | BinaryIO
DEFAULT, ATTACHED_PICTURE = 1, 1024  # FFmpeg's AV_DISPOSITION_*: the stream to play; a cover, which is no video


def source_name(source: Source) -> str:
    """How errors call a file, in quotes; a stream in memory has no name."""
    return f"“{source.name}”" if isinstance(source, Path) else "the video"


def open_media(source: Source) -> InputContainer:
    """A PyAV container; a stream in memory is read from its beginning."""
    import av

    if isinstance(source, Path):
        return av.open(str(source))
    source.seek(0)
    return av.open(source, "r")


def played_stream(streams: Sequence[StreamT]) -> StreamT | None:
    """The stream a player plays: the first one marked as default, else the first; None without one.

    Covers of sound files are no videos, and a stream FFmpeg has no decoder for cannot be played.
    """
    usable = [stream for stream in streams if stream.codec_context is not None and not _is_cover(stream)]
    return next((stream for stream in usable if _flags(stream) & DEFAULT), usable[0] if usable else None)


def other_streams_note(streams: Sequence[Stream], chosen: Stream, what: str) -> str | None:
    """A sentence where a file holds more than one stream of a kind, else None."""
    count = sum(not _is_cover(stream) for stream in streams)
    if count < 2:
        return None
    place = [stream.index for stream in streams if not _is_cover(stream)].index(chosen.index) + 1
    return f"it holds {count} {what}: number {place} is used, as players do."


def starts_at(stream: Stream) -> float | None:
    """Seconds on the file's clock at which a stream begins; None where the file does not say."""
    return (
        None if stream.start_time is None or stream.time_base is None else float(stream.start_time * stream.time_base)
    )


def unreadable(source: Source, why: str, what: str) -> InputError:
    """The error for a file that FFmpeg cannot read."""
    return InputError(f"{source_name(source)} cannot be read as {why}, but {what}.")


def _flags(stream: Stream) -> int:
    flags = getattr(stream, "disposition", 0)
    return int(getattr(flags, "value", flags))  # older PyAV: a flag that is no number


def _is_cover(stream: Stream) -> bool:
    return bool(_flags(stream) & ATTACHED_PICTURE)
