"""The file behind a VIDEO, and what of it is left after trimming."""

from __future__ import annotations

import inspect
from pathlib import Path

from ...media.container import Source
from ..objects import Video


def video_file(video: Video) -> tuple[Source, tuple[float, float]] | None:
    """File or stream of a VIDEO, with start and duration in seconds (0: to the end).

    None for a VIDEO made of frames, whose `get_stream_source` would encode them first, and for one that was trimmed by
    a ComfyUI that does not say how: their frames are asked for instead.
    """
    ask = getattr(video, "get_stream_source", None)
    if ask is None or not _has_own(type(video), "get_stream_source"):
        return None
    if hasattr(video, "get_active_trim_window"):
        start, duration = video.get_active_trim_window()
        window = (float(start), float(duration))
    elif hasattr(video, "as_trimmed"):
        return None
    else:
        window = (0.0, 0.0)
    source = ask()
    return (Path(source) if isinstance(source, str) else source), window


def _has_own(kind: type, name: str) -> bool:
    """Whether a class gives its own method: the abstract class of videos has one for all, by way of encoding."""
    owner = next((parent for parent in kind.__mro__ if name in vars(parent)), None)
    return owner is not None and not inspect.isabstract(owner)
