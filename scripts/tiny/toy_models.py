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
from typing import TYPE_CHECKING

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


def base_state() -> dict[str, Tensor]:
    """A Wan2.2-S2V transformer of the toy's size to train from, float32."""
    import torch

    return weights(model_shapes(), torch.float32, _started)


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


def write(folder: Path, words: Sequence[str], unpacked: Unpacked) -> None:
    """Write encoders, VAE, the trained model and the base to train from below ComfyUI's `models` folder.

    Args:
        words: of the world.
        unpacked: `toy.packing`'s.
    """
    import torch
    from safetensors.torch import save_file

    places = {name: folder / name for name in ("diffusion_models", "text_encoders", "audio_encoders", "vae")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    text = places["text_encoders"] / TEXT
    torch.save(text_state(words), text)
    text.with_suffix(".json").write_text(json.dumps(text_sizes(words), indent=1), encoding="utf-8")
    torch.save(speech_state(), places["audio_encoders"] / SPEECH)
    save_file(base_state(), places["diffusion_models"] / BASE)
    write_trained(folder, unpacked)


def main(arguments: list[str]) -> None:
    """Write the files for the words of the world into the folder named on the command line."""
    from comfy.cli_args import args

    from toy.packing import unpacked
    from toy.world.scene import vocabulary

    args.cpu = True  # before the host looks for a GPU: only shapes are needed
    write(Path(arguments[0]), vocabulary(), unpacked)


if __name__ == "__main__":
    main(sys.argv[1:])
