"""Whether what a user has wired is what the input is for: models that the host's own nodes have loaded."""

from __future__ import annotations

import re

import comfy.ldm.wan.vae
import comfy.model_base

from ...constants import AUDIO_DIM, LATENT_CHANNELS
from ...errors import ModelFileError
from ..model.base_model import CoInteractModel
from ..objects import AudioEncoder, Patcher, TextEncoder, Vae

AUDIO_FILE = "wav2vec2-large-xlsr-53-chinese-zh-cn"
VAE_FILE = "wan_2.1_vae.safetensors"
TEXT_FILE = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
TEXT_ENCODER = "umt5xxl"  # the host's name of the encoder inside a CLIP of type wan
CHINESE_NAME = re.compile(r"chinese|(?<![a-z])zh(?![a-z])")
CHINESE_WORDS, ENGLISH_WORDS = 3503, 33  # rows of lm_head.weight in the two published XLSR files


def check_model(patcher: Patcher) -> None:
    """Refuse a MODEL that is not ours.

    Raises:
        ModelFileError: any other model.
    """
    model = getattr(patcher, "model", None)
    if isinstance(model, CoInteractModel):
        return
    plain = isinstance(model, comfy.model_base.WAN22_S2V)
    arrived = "Wan2.2-S2V without CoInteract" if plain else f"{type(model).__name__}"
    raise ModelFileError(
        f"model is {arrived}, but a CoInteract model was expected; load it with Load CoInteract Model (its adapter may "
        "be none)."
    )


def check_vae(vae: Vae) -> None:
    """Refuse VAEs of another family.

    Raises:
        ModelFileError: not the causal VAE of Wan 2.1 with its 16 channels.
    """
    inner = getattr(vae, "first_stage_model", None)
    channels = getattr(vae, "latent_channels", None)
    if isinstance(inner, comfy.ldm.wan.vae.WanVAE) and channels == LATENT_CHANNELS:
        return
    raise ModelFileError(
        f"vae is {type(inner).__name__} with {channels} latent channels, but the VAE of Wan 2.1 with {LATENT_CHANNELS} "
        f"was expected (Wan2.2-S2V uses it too); load {VAE_FILE}."
    )


def check_text_encoder(clip: TextEncoder) -> None:
    """Refuse text encoders other than umT5-XXL set up for Wan.

    Raises:
        ModelFileError: another encoder, or the right file loaded as another type.
    """
    inner = getattr(clip, "cond_stage_model", None)
    if getattr(inner, "clip_name", None) == TEXT_ENCODER:
        return
    raise ModelFileError(
        f"clip is {type(inner).__name__}, but umT5-XXL was expected; load {TEXT_FILE} with Load CLIP and type wan."
    )


def check_audio_encoder(
    encoder: AudioEncoder, file_name: str | None = None, vocabulary: int | None = None
) -> str | None:
    """Refuse speech encoders of another build, and give a note where the wrong training cannot be ruled out.

    The English and the Chinese XLSR encoder have the same shapes, and the host's loader keeps neither the file's name
    nor the one tensor that differs in shape, so both come from the workflow where it tells them (`workflow.py`).

    Args:
        file_name: the file the encoder was loaded from.
        vocabulary: rows of the file's `lm_head.weight`.

    Raises:
        ModelFileError: another architecture or width, or surely the English encoder.
    """
    model = getattr(encoder, "model", None)
    width = _audio_width(model)
    if width != AUDIO_DIM:
        arrived = f"{width} wide" if width else f"{type(model).__name__}"
        raise ModelFileError(
            f"audio_encoder is {arrived}, but wav2vec2 of width {AUDIO_DIM} was expected; load {AUDIO_FILE}."
        )
    named = f"audio_encoder {file_name}" if file_name else "audio_encoder"
    if vocabulary == ENGLISH_WORDS:
        raise ModelFileError(
            f"{named} is the English wav2vec2 ({ENGLISH_WORDS} letters in its lm_head), but the model was trained with "
            f"the Chinese one; load {AUDIO_FILE}."
        )
    lowered = (file_name or "").lower()
    if vocabulary == CHINESE_WORDS or CHINESE_NAME.search(lowered):
        return None
    if "english" in lowered:
        return f"{named} is the English wav2vec2 by its name; lips follow better with {AUDIO_FILE}."
    return (
        f"{named} has the right size, but English and Chinese encoders of this size look the same: make sure it is "
        f"{AUDIO_FILE}."
    )


def _audio_width(model: object) -> int | None:
    projection = getattr(getattr(model, "feature_projection", None), "projection", None)
    weight = getattr(projection, "weight", None)
    return None if weight is None else weight.shape[0]
