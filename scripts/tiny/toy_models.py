"""Write the files the drawn world's model runs with, as far as they follow from seeds and words.

    PYTHONPATH=<ComfyUI>:scripts:. python scripts/tiny/toy_models.py MODELS

A umT5 without layers, whose embedding of a word is drawn from the word itself; a wav2vec2 of seeded weights, whose
convolutions have biases, so that loudness survives its norms; and a transformer to train from, started as such models
are. All three are toys: no file made elsewhere can take their place, and they none of another's.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny.tiny_models import (
    SEED,
    TEXT_MARK,
    TEXT_MARK_SHAPE,
    TEXT_SIZES,
    Shapes,
    host_shapes,
    random,
    shared,
    speech_shapes,
    text_shapes,
    vae_shapes,
    weights,
)

if TYPE_CHECKING:
    from torch import Tensor

    Unpacked = Callable[[Mapping[str, Tensor], Mapping[str, tuple[int, ...]]], dict[str, Tensor]]

DIM, FFN, LAYERS = 128, 512, 6
BASE = "toy_base.safetensors"
TEXT, SPEECH = "toy_umt5.pt", "toy_wav2vec2.pt"
VAE, MODEL = "toy_vae.safetensors", "toy_model.safetensors"  # trained; they come with the checkout
STAGE = "CoInteract/toy_base.safetensors"  # trained too: where the recipe's first stage leaves it
TRAINED = Path(__file__).resolve().parents[2] / "toy" / "weights"
VAE_DIM = 16
FIRST_WORD = 3  # pad, end and unknown come before
UNKNOWN = 2
# the norm inside the convolutions would take all loudness away; with biases of this spread a linear reading of any
# layer explains 0.92 of its variance, without them 0.36
CONVOLUTION_BIAS = 0.5
LAYER_WEIGHTS = "casual_audio_encoder.weights"
KEPT = 0.3  # of what never changes; what does is a quarter of its size, and the norm behind wants both
RATE = 16_000
VOICES, FRAMES = 4, 80  # of the world, to hear what they share


def text_sizes(words: Sequence[str]) -> dict[str, int]:
    """Sizes of the text encoder: no layers, a row for each word."""
    return {**TEXT_SIZES, "num_layers": 0, "vocab_size": FIRST_WORD + len(words)}


def word_vector(word: str, width: int) -> Tensor:
    """The embedding `[width]` of a word, float16: the same on every machine, whatever else is in the list."""
    import numpy as np
    import torch

    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:16], "big")
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).standard_normal(width)).half()


def text_state(words: Sequence[str]) -> dict[str, Tensor]:
    """A umT5 that gives each word its vector, whatever stands around it; unknown words give zeros."""
    import torch

    sizes = text_sizes(words)
    state = weights(text_shapes(sizes), torch.float16, random)
    table = torch.zeros(state["shared.weight"].shape, dtype=torch.float16)
    for row, word in enumerate(words, FIRST_WORD):
        table[row] = word_vector(word, sizes["d_model"])
    state["shared.weight"] = table
    state[TEXT_MARK] = torch.zeros(1, 1, dtype=torch.float16).expand(TEXT_MARK_SHAPE)
    return state | {"spiece_model": word_tokenizer(words)}


def word_tokenizer(words: Sequence[str]) -> Tensor:
    """A SentencePiece tokenizer, as bytes, that knows these words and no parts of them."""
    import sentencepiece
    import torch

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_writer=model,
        model_type="word",
        vocab_size=FIRST_WORD + len(words),
        pad_id=0,
        eos_id=1,
        unk_id=UNKNOWN,
        bos_id=-1,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)


def speech_state() -> dict[str, Tensor]:
    """The large wav2vec2 with weights that share one small store, and biases in its convolutions."""
    import torch

    state = weights(speech_shapes(), torch.float16, shared(torch.float16))
    for name, tensor in state.items():
        if ".conv." in name and name.endswith("bias"):
            state[name] = (random(name, tuple(tensor.shape)) * (CONVOLUTION_BIAS / 0.1)).half()
    return state


def base_state(shared: Tensor) -> dict[str, Tensor]:
    """A Wan2.2-S2V transformer of the toy's size to train from, float32; for `shared` see `hear_changes`."""
    import torch

    return hear_changes(weights(model_shapes(), torch.float32, _started), shared)


def shared_by_all(encoder: Any, sounds: Sequence[Tensor]) -> Tensor:
    """What all speech shares in the encoder's first layer, `[1024]`.

    Args:
        encoder: ComfyUI's AUDIO_ENCODER of the toy.
        sounds: 16 kHz, `[T]` each.
    """
    import torch

    with torch.inference_mode():
        heard = [encoder.encode_audio(sound[None, None], RATE)["encoded_audio_all_layers"][0][0] for sound in sounds]
        return torch.cat(heard).float().mean(dim=0)


def hear_changes(state: dict[str, Tensor], shared: Tensor) -> dict[str, Tensor]:
    """A transformer that reads the first layer of the speech encoder, with most of what all speech shares taken off.

    Of the features that random layers give, 0.95 of the variance in the first and 0.99 behind it never changes; the
    mouths of a model that was started without this did not follow the sound after 3000 steps (correlation 0.03).
    """
    import torch

    for name in ("conv1_local", "conv1_global"):
        conv = f"casual_audio_encoder.encoder.{name}.conv"
        constant = state[f"{conv}.weight"].sum(dim=-1) @ shared  # its kernel's three taps see the same of it
        state[f"{conv}.bias"] = state[f"{conv}.bias"] - (1 - KEPT) * constant
    layers = torch.zeros_like(state[LAYER_WEIGHTS])
    layers[:, 0] = 1.0
    return state | {LAYER_WEIGHTS: layers}


def model_shapes() -> Shapes:
    """Of the transformer, without experts and HOI stream."""
    from comfy.ldm.wan.model import WanModel_S2V

    return host_shapes(WanModel_S2V, dim=DIM, ffn_dim=FFN, num_heads=DIM // 128, num_layers=LAYERS)


def write_trained(folder: Path, unpacked: Unpacked) -> None:
    """Write what came trained with the checkout, as ComfyUI reads it; what is not there yet is left out."""
    from safetensors.torch import load_file, save_file

    trained: tuple[tuple[str, str, Callable[[], Shapes]], ...] = (
        ("vae", VAE, lambda: vae_shapes(VAE_DIM)),
        ("diffusion_models", MODEL, model_shapes),
        ("diffusion_models", STAGE, model_shapes),
    )
    for kind, name, shapes in trained:
        packed, place = TRAINED / Path(name).name, folder / kind / name
        if packed.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            save_file(unpacked(load_file(packed), shapes()), place, metadata={"format": "pt"})


def _started(name: str, shape: tuple[int, ...]) -> Tensor:
    """A starting value: an output that is nothing yet, small embeddings, everything else keeping its input's size."""
    import torch

    generator = torch.Generator().manual_seed(SEED ^ int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
    if name.startswith("head.head"):
        return torch.zeros(shape)
    if "modulation" in name:
        return torch.randn(shape, generator=generator) / math.sqrt(DIM)
    if len(shape) == 1 or name.startswith(("time_embedding", "text_embedding", "trainable")):
        return torch.randn(shape, generator=generator) * 0.02
    inner, outer = math.prod(shape[1:]), shape[0]
    limit = math.sqrt(6.0 / (inner + outer))
    return (torch.rand(shape, generator=generator) * 2 - 1) * limit


def write(folder: Path, words: Sequence[str], unpacked: Unpacked, sounds: Sequence[Tensor]) -> None:
    """Write encoders, VAE, the trained model and the base to train from below ComfyUI's `models` folder.

    Args:
        words: of the world.
        unpacked: `toy.packing`'s.
        sounds: some speech, for `shared_by_all`.
    """
    import comfy.sd  # noqa: F401  the encoders' module needs what this loads
    import torch
    from comfy.audio_encoders.audio_encoders import load_audio_encoder_from_sd
    from safetensors.torch import save_file

    places = {name: folder / name for name in ("diffusion_models", "text_encoders", "audio_encoders", "vae")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    text = places["text_encoders"] / TEXT
    torch.save(text_state(words), text)
    text.with_suffix(".json").write_text(json.dumps(text_sizes(words), indent=1), encoding="utf-8")
    speech = speech_state()
    torch.save(speech, places["audio_encoders"] / SPEECH)
    shared = shared_by_all(load_audio_encoder_from_sd(speech), sounds)
    save_file(base_state(shared), places["diffusion_models"] / BASE)
    write_trained(folder, unpacked)


def voices() -> list[Tensor]:
    """Some voices of the world; the checkout's root must be importable."""
    import torch

    from toy.world.voice import samples

    return [torch.from_numpy(samples(seed, 0, FRAMES)) for seed in range(VOICES)]


def main(arguments: list[str]) -> None:
    """Write the files for the words of the world into the folder named on the command line."""
    from comfy.cli_args import args

    from toy.packing import unpacked
    from toy.world.scene import vocabulary

    args.cpu = True  # before the host looks for a GPU: only shapes are needed
    write(Path(arguments[0]), vocabulary(), unpacked, voices())


if __name__ == "__main__":
    main(sys.argv[1:])
