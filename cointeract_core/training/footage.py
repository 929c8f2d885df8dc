"""Videos, pictures and sound of a training row, read with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..conditioning.images import check_image, fill_picture
from ..constants import VIDEO_FPS
from ..errors import InputError
from ..shapes import VideoSize

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Callable[["Image", VideoSize], Tensor]
SLOWEST_FPS, FASTEST_FPS = 1.0, 480.0
UNEVEN_SECONDS = 0.08  # two frames: from there on lips are seen to miss the sound


@dataclass(frozen=True, slots=True)
class Footage:
    """What a video file says of itself.

    Attributes:
        frames: pictures in it that can be read, counted.
        fps: its tag.
        width, height: as shown, turned where the file says so.
    """

    path: Path
    frames: int
    fps: float
    width: int
    height: int

    @property
    def seconds(self) -> float:
        """By its own tag."""
        return self.frames / self.fps

    @property
    def size(self) -> VideoSize:
        """Width and height."""
        return VideoSize(self.width, self.height)


def probe_video(path: Path) -> Footage:
    """Count frames and read the tag; every frame is decoded, so that damage is found before a run begins.

    Raises:
        InputError: no video that can be read to its end, or one whose frames are not evenly spaced.
    """
    import av

    again = "but a video is expected; export it again as mp4."
    times: list[float | None] = []
    size = VideoSize(0, 0)
    try:
        with av.open(str(path)) as file:
            stream = next(iter(file.streams.video), None)
            if stream is None:
                raise InputError(f"“{path.name}” holds no video, {again}")
            rate = float(stream.average_rate or 0)
            stream.thread_type = "AUTO"
            for number, packet in enumerate(file.demux(stream)):
                if packet.is_corrupt:
                    raise InputError(
                        f"“{path.name}” breaks off after {number} frames, but whole videos are expected; copy or "
                        "export it again."
                    )
                for frame in packet.decode():
                    size = size if times else _shown_size(frame)
                    times.append(frame.time)
    except av.FFmpegError as error:
        raise InputError(f"“{path.name}” cannot be read as a video ({error.strerror}), {again}") from error
    if not times:
        raise InputError(f"“{path.name}” has no frame that can be read, {again}")
    _check_rate(path.name, rate, [time for time in times if time is not None])
    return Footage(path, len(times), rate, size.width, size.height)


def _check_rate(name: str, rate: float, times: Sequence[float]) -> None:
    """Refuse rates no clip has, and frames (seconds) that do not keep to theirs."""
    if not SLOWEST_FPS <= rate <= FASTEST_FPS:
        raise InputError(
            f"“{name}” is tagged {rate:g} frames a second, but {SLOWEST_FPS:g} to {FASTEST_FPS:g} are expected; "
            f"export it again at {VIDEO_FPS}."
        )
    off = max((abs(time - times[0] - number / rate) for number, time in enumerate(times)), default=0.0)
    if off > UNEVEN_SECONDS:
        raise InputError(
            f"“{name}” has frames up to {off:.2f} s off a steady {rate:g} frames a second, but even steps are "
            f"expected; export it again at a constant {VIDEO_FPS}."
        )


def read_frames(path: Path, indices: Sequence[int], size: VideoSize, fit: Fit = fill_picture) -> Tensor:
    """Frames of a video, one at a time in memory before they are fitted.

    Args:
        indices: which frames, in any order, also more than once.
        fit: brings a frame to `size`, as boxes are (`masks`): by default scaled to fill it and cut from the centre.

    Returns:
        `[len(indices), H, W, 3]` in 0-1.

    Raises:
        InputError: the video ends before one of them, or cannot be read.
    """
    import av
    from PIL import Image

    places: dict[int, list[int]] = {}
    for place, index in enumerate(indices):
        places.setdefault(index, []).append(place)
    out = torch.empty(len(indices), size.height, size.width, 3)
    try:
        for index, frame in enumerate(_decoded(path)):
            if index in places:
                out[places.pop(index)] = fit(Image.fromarray(_picture(frame)), size)
            if not places:
                return out
    except av.FFmpegError as error:
        raise InputError(
            f"“{path.name}” cannot be read to its end ({error.strerror}), but whole videos are expected; export it "
            "again as mp4."
        ) from error
    raise InputError(
        f"“{path.name}” ends before frame {max(places)}, but its index promises more; export it again as mp4."
    )


def _decoded(path: Path) -> Iterator[Any]:
    """Frames as PyAV gives them, in the order they are shown."""
    import av

    with av.open(str(path)) as file:
        file.streams.video[0].thread_type = "AUTO"
        yield from file.decode(video=0)


def _quarters(frame: Any) -> int:
    """Quarter turns a player would give a frame."""
    return round(frame.rotation / 90) % 4


def _shown_size(frame: Any) -> VideoSize:
    sides = (frame.height, frame.width) if _quarters(frame) % 2 else (frame.width, frame.height)
    return VideoSize(*sides)


def _picture(frame: Any) -> np.ndarray:
    """A frame `[H, W, 3]` in 8 bits, turned as a player would turn it."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), _quarters(frame)))


def read_audio(path: Path) -> tuple[Tensor, int]:
    """The whole sound of a file.

    Returns:
        `[1, channels, samples]` float32 and the samples a second.

    Raises:
        InputError: no sound that can be read.
    """
    import av

    try:
        with av.open(str(path)) as file:
            stream = next(iter(file.streams.audio), None)
            if stream is None:
                raise InputError(f"“{path.name}” holds no sound, but speech is expected; export it as wav.")
            rate = stream.rate
            blocks = list(_sound_blocks(file, stream))
    except av.FFmpegError as error:
        raise InputError(
            f"“{path.name}” cannot be read as sound ({error.strerror}), but speech is expected; export it as wav."
        ) from error
    if not blocks:
        raise InputError(f"“{path.name}” has no samples, but speech is expected; export it again as wav.")
    return torch.from_numpy(np.concatenate(blocks, axis=1))[None], rate


def _sound_blocks(file: Any, stream: Any) -> Iterator[np.ndarray]:
    import av

    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for frame in file.decode(stream):
        for block in resampler.resample(frame):
            yield block.to_ndarray()
    for block in resampler.resample(None):
        yield block.to_ndarray()


def read_picture(path: Path, name: str) -> Tensor:
    """A picture as a host IMAGE of one.

    Args:
        name: of the column, for errors.

    Returns:
        `[H, W, 3 or 4]` in 0-1, checked.

    Raises:
        InputError: no picture that can be read, or one too small or too large.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            turned = ImageOps.exif_transpose(file)
            picture = turned.convert("RGBA" if "A" in turned.getbands() or "transparency" in turned.info else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"“{path.name}” cannot be read as a picture, but one is expected; save it again as png."
        ) from error
    return check_image(torch.from_numpy(np.array(picture)).float()[None] / 255.0, name)
