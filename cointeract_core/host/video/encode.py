"""Pictures, speech and text through the host's encoders."""

from __future__ import annotations

import torch
from torch import Tensor

from ...conditioning.speech import features_at_25fps
from ...constants import AUDIO_DIM, AUDIO_LAYERS, AUDIO_SAMPLE_RATE
from ...errors import ModelFileError
from ..objects import AudioEncoder, Conditioning, TextEncoder, Vae


def encode_frames(vae: Vae, frames: Tensor) -> Tensor:
    """Frames `[F, H, W, 3]` in 0-1 to latents `[1, 16, (F - 1) / 4 + 1, H / 8, W / 8]`.

    The host tiles by itself where memory runs out.
    """
    return vae.encode(frames[..., :3])


def encode_speech(encoder: AudioEncoder, mono: Tensor, frames: int | None) -> Tensor:
    """Features of speech at 25 frames a second.

    The encoder hears the whole speech at once, at any length: its attention is global, and it scales the sound by the
    mean and the deviation of all of it, so in windows it would say something else.  Its answer is 5 MB a second, and
    every layer goes as soon as its features are there.

    Args:
        encoder: the host's AUDIO_ENCODER.
        mono: `[T]` at 16 kHz.
        frames: see `features_at_25fps`.

    Returns:
        `[25, 1024, F]` on the CPU: float16 where the encoder computes in that, as it does on a GPU, else float32.

    Raises:
        ModelFileError: an encoder of another width or with other layers.
    """
    with torch.inference_mode():
        answer = encoder.encode_audio(mono[None, None], AUDIO_SAMPLE_RATE)
    layers = list(answer.pop("encoded_audio_all_layers"))
    answer.clear()
    if len(layers) != AUDIO_LAYERS or layers[0].shape[-1] != AUDIO_DIM:
        raise ModelFileError(
            f"The audio encoder gives {len(layers)} layers of width {layers[0].shape[-1]}, but the model reads "
            f"{AUDIO_LAYERS} of width {AUDIO_DIM}; load wav2vec2-large-xlsr-53-chinese-zh-cn instead."
        )
    features = torch.empty(0, dtype=torch.float16 if layers[0].dtype is torch.float16 else torch.float32)
    for number in range(AUDIO_LAYERS):
        of_layer = features_at_25fps(layers[number].float().cpu(), frames)[0]
        layers[number] = None
        if number == 0:
            features = features.new_empty(AUDIO_LAYERS, *of_layer.shape)
        features[number] = of_layer
    return features


def encode_text(clip: TextEncoder, text: str) -> Conditioning:
    """A host CONDITIONING for one prompt."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
