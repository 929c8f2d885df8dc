"""From what users wire in to what a clip is made from: fit, check, encode."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from torch import Tensor

from ...clips.parts import PersonReference, Pose, ProductReference, Prompts, Speech
from ...clips.plan import plan_video
from ...conditioning.audio import open_audio
from ...conditioning.cut_out import with_transparency
from ...conditioning.images import check_image, fit_person, fit_pose, fit_pose_picture, fit_product
from ...conditioning.pose import clip_pose, pose_note, resample_times
from ...conditioning.speech import mono_at_16k, pad_to_clips, speech_frames
from ...constants import CLIP_FRAMES
from ...media.video import probe_video, read_blocks
from ...shapes import VideoSize
from ..files.check_wired import check_audio_encoder, check_text_encoder, check_vae
from ..files.video_file import video_file
from ..files.workflow import audio_encoder_vocabulary
from ..objects import Audio, AudioEncoder, TextEncoder, Vae, Video
from ..page.progress import stop_if_interrupted
from .encode import encode_frames, encode_speech, encode_text

log = logging.getLogger("cointeract")


def make_person(
    vae: Vae, image: Tensor, size: VideoSize, fit: str, transparency: Tensor | None = None
) -> tuple[PersonReference, Tensor]:
    """The person reference and the picture it was made from, `[1, H, W, 3]`.

    Args:
        transparency: as Load Image gives it as MASK, white where the picture is transparent.
    """
    check_vae(vae)
    picture = fit_person(with_transparency(check_image(image, "image"), transparency), size, fit)
    return PersonReference(encode_frames(vae, picture), size), picture


def make_product(
    vae: Vae,
    image: Tensor,
    mask: Tensor | None,
    size: VideoSize,
    *,
    fit: str,
    padding: float,
    background: str,
    scale: float,
    transparency: Tensor | None = None,
) -> tuple[ProductReference, Tensor]:
    """The product reference and the picture it was made from, `[1, H, W, 3]`.

    Args:
        mask: white where the product is.
        transparency: as Load Image gives it as MASK, white where the picture is transparent.
    """
    check_vae(vae)
    seen = with_transparency(check_image(image, "image"), transparency)
    picture = fit_product(seen, mask, size, fit, padding, background)
    return ProductReference(encode_frames(vae, picture), scale), picture


def make_speech(
    encoder: AudioEncoder,
    audio: Audio,
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
    waveform, rate, heard = open_audio(audio)
    plan = plan_video(
        speech_frames(waveform.shape[-1], rate),
        1,
        max_clips=max_clips or None,
        reference_behaviour=reference_behaviour,
    )
    doubt = check_audio_encoder(encoder, encoder_file, audio_encoder_vocabulary(encoder_file))
    notes = [plan.describe(), *heard, *([doubt] if doubt else [])]
    mono = mono_at_16k(waveform, rate)
    frames = None
    if not reference_behaviour:
        mono, frames = pad_to_clips(mono, len(plan.clips)), len(plan.clips) * CLIP_FRAMES
    features = encode_speech(encoder, mono, frames)
    return Speech(features, waveform, rate, plan, reference_behaviour), notes


def make_pose(vae: Vae, frames: Tensor, fps: float, speech: Speech, size: VideoSize) -> tuple[Pose, list[str]]:
    """Pose latents of every clip, and notes for the user.

    Args:
        frames: `[F, H, W, C]` in 0-1.
        fps: of `frames`; they are resampled by time to 25.
    """
    check_vae(vae)
    check_image(frames, "pose")
    times = resample_times(len(frames), fps)
    blocks = (fit_pose(frames[block], size) for block in _clip_blocks(times, speech))
    return _encode_pose(vae, blocks, len(times), speech, size)


def make_pose_of_video(vae: Vae, video: Video, speech: Speech, size: VideoSize) -> tuple[Pose, list[str]]:
    """As `make_pose`, of a VIDEO: its file is read as training reads one, frame by frame and by its time stamps."""
    check_vae(vae)
    found = video_file(video)
    if found is None:
        components = video.get_components()
        return make_pose(vae, components.images, float(components.frame_rate), speech, size)
    footage = probe_video(*found)
    times = [footage.first + place for place in footage.by_time()]
    blocks = read_blocks(footage.path, _clip_blocks(times, speech), size, fit_pose_picture)
    pose, notes = _encode_pose(vae, blocks, len(times), speech, size)
    return pose, [*(f"video: {note}" for note in footage.notes), *notes]


def _clip_blocks(times: Sequence[int], speech: Speech) -> list[Sequence[int]]:
    """The source frames of each clip."""
    return [times[clip.start_frame : clip.start_frame + CLIP_FRAMES] for clip in speech.plan.clips]


def _encode_pose(
    vae: Vae, blocks: Iterable[Tensor], count: int, speech: Speech, size: VideoSize
) -> tuple[Pose, list[str]]:
    """One clip at a time: a long pose video at full size would fill the memory."""
    clips = []
    for own in blocks:
        stop_if_interrupted()
        clips.append(encode_frames(vae, clip_pose(own, 0))[:, :, 1:])
    note = pose_note(count, speech.plan.frames)
    return Pose(tuple(clips), size), [note] if note else []


def make_prompts(clip: TextEncoder, prompts: Sequence[str], negative: str) -> Prompts:
    """One conditioning per prompt and one for the negative prompt."""
    check_text_encoder(clip)
    return Prompts(tuple(encode_text(clip, prompt) for prompt in prompts), encode_text(clip, negative))
