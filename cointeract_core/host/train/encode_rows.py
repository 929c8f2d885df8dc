"""Encode the rows of a training table, one encoder at a time, into the cache.

Pictures, speech and pose go through the functions that generating uses, so that training sees what it will be given.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...conditioning.images import fit_person, fit_pose_picture, fit_product
from ...conditioning.speech import mono_at_16k, pad_to_clips
from ...constants import HOI_PROMPT_PREFIX, TEMPORAL_STRIDE
from ...media.picture import read_picture
from ...media.sound import read_audio
from ...media.video import read_frames
from ...training.step.cache import LATENTS, SPEECH, TEXT, EncoderStamps, SampleCache, SampleKeys, sample_keys
from ...training.table.preflight import CheckedRow
from ..files.load_encoders import EncoderFiles, load_audio_encoder, load_text_encoder, load_vae
from ..objects import AudioEncoder, TextEncoder, Vae
from ..page.progress import stop_if_interrupted
from ..video.encode import encode_frames, encode_speech, encode_text

Progress = Callable[[int, int, str], None]
Encode = Callable[[Any, CheckedRow], dict[str, Tensor]]


def fill_cache(
    rows: Sequence[CheckedRow], files: EncoderFiles, cache: SampleCache, progress: Progress
) -> list[SampleKeys]:
    """Make the parts that are missing, and give the names of all.

    Each encoder is loaded only where a part of its kind is missing, and leaves memory before the next one.  Parts are
    stored one by one, so what is finished stays when a run ends early.

    Args:
        progress: told how many of the missing parts of a kind are done, of how many, and a line for the user.

    Raises:
        ModelFileError: an encoder file that is missing (before anything is loaded) or holds something else.
        InputError: a file of a row that has become unreadable.
        InterruptProcessingException: the user pressed Interrupt.
    """
    stamps = files.stamps()
    cache.tidy()
    keys = [_keys(checked, stamps) for checked in rows]
    stages: tuple[tuple[str, str, Callable[[str], Any], str, Encode], ...] = (
        (TEXT, "prompts", load_text_encoder, files.text_encoder, encode_texts),
        (SPEECH, "speech", load_audio_encoder, files.audio_encoder, encode_sound),
        (LATENTS, "pictures and videos", load_vae, files.vae, encode_pictures),
    )
    for kind, what, load, name, encode in stages:
        missing: dict[str, CheckedRow] = {}
        for checked, key in zip(rows, (getattr(names, kind) for names in keys), strict=True):
            if key not in missing and not cache.has(kind, key):  # rows made of the same things share a part
                missing[key] = checked
        if missing:
            try:
                with torch.inference_mode():
                    _fill(cache, kind, what, missing, load(name), encode, progress)
            finally:
                _leave_memory()
    return keys


def _keys(checked: CheckedRow, stamps: EncoderStamps) -> SampleKeys:
    stop_if_interrupted()  # reading every file of a long table takes its time
    return sample_keys(checked, stamps)


def _fill(
    cache: SampleCache,
    kind: str,
    what: str,
    missing: Mapping[str, CheckedRow],
    encoder: Any,
    encode: Encode,
    progress: Progress,
) -> None:
    for done, (key, checked) in enumerate(missing.items()):
        stop_if_interrupted()
        progress(done, len(missing), f"row {checked.row.number} ({done + 1} of {len(missing)}): {what}")
        cache.put(kind, key, encode(encoder, checked))


def encode_texts(clip: TextEncoder, checked: CheckedRow) -> dict[str, Tensor]:
    """The embeddings of `sample.PromptContexts`, `[1, T, text_dim]`."""
    prompt = checked.row.prompt
    texts = {"main": prompt, "empty": "", "hoi": HOI_PROMPT_PREFIX + prompt, "hoi_empty": HOI_PROMPT_PREFIX}
    return {name: encode_text(clip, text)[0][0].float() for name, text in texts.items()}


def encode_sound(encoder: AudioEncoder, checked: CheckedRow) -> dict[str, Tensor]:
    """Speech features of the clip, `[1, 25, audio_dim, 4 F]`, as the first clip of a video hears them."""
    mono = mono_at_16k(*read_audio(checked.row.audio))
    frames = checked.latents * TEMPORAL_STRIDE
    features = encode_speech(encoder, pad_to_clips(mono, 1), frames)
    return {"audio": features[None]}


def encode_pictures(vae: Vae, checked: CheckedRow) -> dict[str, Tensor]:
    """All latents of a row, under the names of `sample.TrainingSample`."""
    row, plan, size = checked.row, checked.plan, checked.size
    person = fit_person(read_picture(row.person_image, "person_image"), size, "crop")
    target = read_frames(row.input_video, plan.target, size)
    latents = {"person": encode_frames(vae, person), "alone": _behind(vae, person, target)}
    if row.product_image is not None:
        picture = fit_product(read_picture(row.product_image, "product_image"), None, size)
        latents["product"] = encode_frames(vae, picture)
    if row.motion_video is not None and plan.motion is not None:
        motion = read_frames(row.motion_video, plan.motion, size)
        stop_if_interrupted()
        latents["joint"] = encode_frames(vae, torch.cat([motion, target]))
    del target
    if row.hoi_video is not None and plan.hoi is not None:
        stop_if_interrupted()
        frames = read_frames(row.hoi_video, plan.hoi, size)
        latents["hoi"] = _behind(vae, frames[:1], frames)
    if row.pose_video is not None and plan.pose is not None:
        stop_if_interrupted()
        frames = read_frames(row.pose_video, plan.pose, size, fit_pose_picture)
        latents["pose"] = _behind(vae, frames[:1], frames)
    return latents


def _behind(vae: Vae, first: Tensor, frames: Tensor) -> Tensor:
    """Latents of frames with one frame in front, whose own latent is dropped: four frames to each latent."""
    return encode_frames(vae, torch.cat([first, frames]))[:, :, 1:]


def _leave_memory() -> None:
    comfy.model_management.unload_all_models()
    gc.collect()
    comfy.model_management.soft_empty_cache()
