"""Pictures, speech and text through the host's encoders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..constants import AUDIO_DIM, AUDIO_LAYERS, AUDIO_SAMPLE_RATE
from ..errors import ModelFileError


def encode_frames(vae: Any, frames: Tensor) -> Tensor:
    """Frames `[F, H, W, 3]` in 0-1 to latents `[1, 16, (F - 1) / 4 + 1, H / 8, W / 8]`.

    The host tiles by itself where memory runs out.
    """
    return vae.encode(frames[..., :3])


def encode_speech(encoder: Any, mono: Tensor) -> Tensor:
    """Hidden states of speech.

    Args:
        encoder: the host's AUDIO_ENCODER.
        mono: `[T]` at 16 kHz.

    Returns:
        `[25, T50, 1024]`, about 50 states a second, float32 on the CPU.

    Raises:
        ModelFileError: an encoder of another width or with other layers.
    """
    with torch.inference_mode():
        answer = encoder.encode_audio(mono[None, None], AUDIO_SAMPLE_RATE)
    layers = answer["encoded_audio_all_layers"]
    if len(layers) != AUDIO_LAYERS or layers[0].shape[-1] != AUDIO_DIM:
        raise ModelFileError(
            f"The audio encoder gives {len(layers)} layers of width {layers[0].shape[-1]}, but the model reads "
            f"{AUDIO_LAYERS} of width {AUDIO_DIM}; load wav2vec2-large-xlsr-53-chinese-zh-cn instead."
        )
    return torch.stack([layer[0].float().cpu() for layer in layers])


def encode_text(clip: Any, text: str) -> Any:
    """A host CONDITIONING for one prompt."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
