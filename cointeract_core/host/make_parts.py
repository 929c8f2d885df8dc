"""From what users wire in to what a clip is made from: fit, check, encode."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..clips.parts import PersonReference, Pose, ProductReference, Prompts, Speech
from ..clips.plan import plan_video
from ..conditioning.images import check_image, fit_person, fit_pose, fit_product
from ..conditioning.pose import clip_pose, resample_times
from ..conditioning.speech import (
    check_speech,
    features_at_25fps,
    mono_at_16k,
    pad_to_clips,
    speech_frames,
)
from ..errors import InputError
from ..shapes import VideoSize
from .check_files import check_audio_encoder, check_text_encoder, check_vae
from .encode import encode_frames, encode_speech, encode_text
from .progress import stop_if_interrupted
from .workflow import audio_encoder_vocabulary

log = logging.getLogger("cointeract")


def make_person(vae: Any, image: Tensor, size: VideoSize, fit: str) -> tuple[PersonReference, Tensor]:
    """The person reference and the picture it was made from, `[1, H, W, 3]`."""
    check_vae(vae)
    picture = fit_person(check_image(image, "image"), size, fit)
    return PersonReference(encode_frames(vae, picture), size), picture


def make_product(
    vae: Any,
    image: Tensor,
    mask: Tensor | None,
    size: VideoSize,
    *,
    fit: str,
    padding: float,
    background: str,
    scale: float,
) -> tuple[ProductReference, Tensor]:
    """The product reference and the picture it was made from, `[1, H, W, 3]`."""
    check_vae(vae)
    picture = fit_product(check_image(image, "image"), mask, size, fit, padding, background)
    return ProductReference(encode_frames(vae, picture), scale), picture


def make_speech(
    encoder: Any,
    audio: dict[str, Any],
    max_clips: int,
    reference_behaviour: bool,
    *,
    encoder_file: str | None = None,
) -> tuple[Speech, list[str]]:
    """Features of the whole speech, its plan, and notes for the user.

    The model hears the speech followed by silence up to the end of the last clip; the soundtrack stays the original.

    Args:
        encoder_file: name of the file the encoder came from, where the workflow tells it.
    """
    waveform, rate = audio["waveform"], int(audio["sample_rate"])
    check_speech(waveform, rate)
    note = check_audio_encoder(encoder, encoder_file, audio_encoder_vocabulary(encoder_file))
    notes = [note] if note else []
    plan = plan_video(
        speech_frames(waveform.shape[-1], rate),
        1,
        max_clips=max_clips or None,
        reference_behaviour=reference_behaviour,
    )
    notes.insert(0, plan.describe())
    mono = mono_at_16k(waveform, rate)
    frames = None
    if not reference_behaviour:
        mono, frames = pad_to_clips(mono, len(plan.clips)), len(plan.clips) * plan.clip_frames
    features = features_at_25fps(encode_speech(encoder, mono), frames)
    return Speech(features, waveform, rate, plan, reference_behaviour), notes


def make_pose(vae: Any, frames: Tensor, fps: float, speech: Speech, size: VideoSize) -> tuple[Pose, list[str]]:
    """Pose latents of every clip, and notes for the user.

    Args:
        frames: `[F, H, W, 3]` in 0-1.
        fps: of `frames`; they are resampled by time to 25.
    """
    check_vae(vae)
    if not fps > 0:
        raise InputError(f"fps is {fps}, but pose frames need a rate above 0; use the rate of the pose video.")
    check_image(frames, "pose")
    times = resample_times(len(frames), fps)
    pose = fit_pose(frames[times], size)
    clips = []
    for clip in speech.plan.clips:
        stop_if_interrupted()
        clips.append(encode_frames(vae, clip_pose(pose, clip.index))[:, :, 1:])
    notes = []
    if len(times) < speech.plan.frames:
        notes.append(
            f"The pose has {len(times)} frames and the video {speech.plan.frames}: "
            "the remaining frames follow no pose."
        )
    return Pose(tuple(clips), size), notes


def make_prompts(clip: Any, prompts: Sequence[str], negative: str) -> Prompts:
    """One conditioning per prompt and one for the negative prompt."""
    check_text_encoder(clip)
    return Prompts(tuple(encode_text(clip, prompt) for prompt in prompts), encode_text(clip, negative))
