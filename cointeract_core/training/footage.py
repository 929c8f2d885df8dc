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
from ..errors import InputError
from ..shapes import VideoSize

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Callable[["Image", VideoSize], Tensor]


@dataclass(frozen=True, slots=True)
class Footage:
    """What a video file says of itself.

    Attributes:
        frames: pictures in it, counted.
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
    """Count frames and read the tag.

    Raises:
        InputError: no video that can be read.
    """
    import av

    try:
        with av.open(str(path)) as file:
            stream = next(iter(file.streams.video), None)
            if stream is None or not stream.average_rate:
                raise InputError(f"“{path.name}” holds no video, but one is expected; export it again as mp4.")
            rate = float(stream.average_rate)
            frames = sum(1 for packet in file.demux(stream) if packet.size)
        first = next(_pictures(path))
    except (av.FFmpegError, StopIteration) as error:
        reason = str(error) or "it has no frame"
        raise InputError(
            f"“{path.name}” cannot be read as a video ({reason}), but one is expected; export it again as mp4."
        ) from error
    return Footage(path, frames, rate, first.shape[1], first.shape[0])


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
        for index, picture in enumerate(_pictures(path)):
            if index in places:
                out[places.pop(index)] = fit(Image.fromarray(np.ascontiguousarray(picture)), size)
            if not places:
                return out
    except av.FFmpegError as error:
        raise InputError(f"“{path.name}” cannot be read to its end ({error}); export it again as mp4.") from error
    raise InputError(
        f"“{path.name}” ends before frame {max(places)}, which its index promises; export it again as mp4."
    )


def _pictures(path: Path) -> Iterator[np.ndarray]:
    """Frames `[H, W, 3]` in 8 bits, turned as a player would turn them."""
    import av

    with av.open(str(path)) as file:
        file.streams.video[0].thread_type = "AUTO"
        for frame in file.decode(video=0):
            turns = round(frame.rotation / 90) % 4
            picture = frame.to_ndarray(format="rgb24")
            yield np.rot90(picture, turns) if turns else picture


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
            f"“{path.name}” cannot be read as sound ({error}), but speech is expected; export it as wav."
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
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            turned = ImageOps.exif_transpose(file)
            picture = turned.convert("RGBA" if "A" in turned.getbands() or "transparency" in turned.info else "RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"“{path.name}” cannot be read as a picture, but one is expected; save it again as png."
        ) from error
    return check_image(torch.from_numpy(np.array(picture)).float()[None] / 255.0, name)
