"""A finished video for the host's own nodes: its frames as IMAGE, read back from disk, and its sound as AUDIO."""

from __future__ import annotations

import math

import comfy.model_management
import torch
from torch import Tensor

from ...clips.parts import FinishedVideo
from ...clips.writer import load_frames
from ...constants import VIDEO_FPS
from ...errors import InputError
from ..objects import Audio

IMAGE_BYTES = 4  # the host's IMAGE is float32
GIGABYTE = 1e9


def finished_images(video: FinishedVideo, all_frames: bool) -> Tensor:
    """Frames `[F, H, W, 3]` in 0-1; only the last one where `all_frames` is off.

    Raises:
        InputError: the mp4 was moved or deleted; the frames do not fit into memory, or the host emptied its temp folder
            since they were made.
    """
    if not video.path.is_file():
        raise InputError(
            f"The video was written to {video.path}, but it is not there any more; put it back, or queue again and "
            "CoInteract Sampler makes it anew."
        )
    missing = [file for file in video.clip_files if not file.is_file()]
    if missing:
        raise InputError(
            f"The frames of {video.path.name} are no longer in ComfyUI's temp folder; "
            "read the finished mp4 with Load Video instead."
        )
    if not all_frames:
        return load_frames(video.clip_files[-1:])[-1:]
    height, width = load_frames(video.clip_files[-1:]).shape[1:3]
    needed = math.prod((video.frames, height, width, 3, IMAGE_BYTES))
    free = comfy.model_management.get_free_memory(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"{video.frames} frames of {width}x{height} need {needed / GIGABYTE:.1f} GB as IMAGE, but "
            f"{free / GIGABYTE:.1f} GB are free; switch all_frames off and use the VIDEO output."
        )
    return load_frames(video.clip_files)


def finished_audio(video: FinishedVideo) -> Audio:
    """The original sound, cut to the length of the video."""
    rate = video.speech.sample_rate
    samples = round(video.frames * rate / VIDEO_FPS)
    return {"waveform": video.speech.waveform[..., :samples], "sample_rate": rate}
