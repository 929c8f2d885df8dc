"""What travels between the nodes: references, speech, pose, prompts, and the finished video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from ..shapes import VideoSize
from .plan import VideoPlan

Conditioning: TypeAlias = list[list[Any]]  # of the host: handed on to its sampler, never looked at here


@dataclass(frozen=True, slots=True)
class PersonReference:
    """The person, encoded at the size of the video.

    Attributes:
        latent: `[1, 16, 1, h, w]`, as the VAE gives it.
        size: size of the video in pixels; every other input follows it.
    """

    latent: Tensor
    size: VideoSize


@dataclass(frozen=True, slots=True)
class ProductReference:
    """The product, encoded at the size of the video.

    Attributes:
        latent: `[1, 16, 1, h, w]`.
        scale: position scale of its tokens; below 1 the product is placed more compactly.
    """

    latent: Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class Speech:
    """The whole speech: features for the model, the original sound for the listener.

    Attributes:
        features: `[layers, audio_dim, frames]` at 25 frames a second; they cover every clip.
        waveform: the user's audio `[1, C, T]`.
        sample_rate: of `waveform`, in Hz.
        plan: clips that follow from its length; prompts are assigned later.
        reference_behaviour: plan, windows, seeds and hand-over as in the authors' program.
    """

    features: Tensor
    waveform: Tensor
    sample_rate: int
    plan: VideoPlan
    reference_behaviour: bool


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose latents `[1, 16, 20, h, w]` of every clip, and the size they were made for."""

    clips: tuple[Tensor, ...]
    size: VideoSize


@dataclass(frozen=True, slots=True)
class Prompts:
    """Host conditionings: one positive per prompt, one negative for all clips."""

    positive: tuple[Conditioning, ...]
    negative: Conditioning


@dataclass(frozen=True, slots=True)
class ClipScene:
    """Everything but time: what every clip of a video is made from."""

    person: PersonReference
    speech: Speech
    prompts: Prompts
    product: ProductReference | None = None
    pose: Pose | None = None


@dataclass(frozen=True, slots=True)
class FinishedVideo:
    """A video on disk.

    Attributes:
        path: the mp4.
        frames: frames in it.
        clip_files: 8-bit frames of each clip, one safetensors file per clip (`frames`, `[N, H, W, 3]`).
        speech: sound and plan it was made from.
    """

    path: Path
    frames: int
    clip_files: tuple[Path, ...]
    speech: Speech
