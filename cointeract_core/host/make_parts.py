"""From what users wire in to what a clip is made from: fit, check, encode."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..clips.parts import PersonReference, Pose, ProductReference, Prompts, Speech
from ..clips.plan import plan_video
from ..conditioning.images import check_image, fit_person, fit_pose, fit_product
from ..conditioning.pose import clip_pose, pose_note, resample_times
from ..conditioning.speech import (
    check_speech,
    features_at_25fps,
    mono_at_16k,
    pad_to_clips,
    speech_frames,
)
from ..constants import CLIP_FRAMES
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
    plan = plan_video(
        speech_frames(waveform.shape[-1], rate),
        1,
        max_clips=max_clips or None,
        reference_behaviour=reference_behaviour,
    )
    doubt = check_audio_encoder(encoder, encoder_file, audio_encoder_vocabulary(encoder_file))
    notes = [plan.describe(), *([doubt] if doubt else [])]
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
    check_image(frames, "pose")
    times = resample_times(len(frames), fps)
    clips = []
    for clip in speech.plan.clips:
        stop_if_interrupted()
        # one clip at a time: a long pose video at full size would fill the memory
        own = fit_pose(frames[times[clip.start_frame : clip.start_frame + CLIP_FRAMES]], size)
        clips.append(encode_frames(vae, clip_pose(own, 0))[:, :, 1:])
    note = pose_note(len(times), speech.plan.frames)
    return Pose(tuple(clips), size), [note] if note else []


def make_prompts(clip: Any, prompts: Sequence[str], negative: str) -> Prompts:
    """One conditioning per prompt and one for the negative prompt."""
    check_text_encoder(clip)
    return Prompts(tuple(encode_text(clip, prompt) for prompt in prompts), encode_text(clip, negative))
