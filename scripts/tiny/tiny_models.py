"""Write tiny model files with random weights that the host's own loaders accept.

    PYTHONPATH=<ComfyUI> python scripts/tiny/tiny_models.py MODELS

Names and shapes come from the host's own classes, built small on the meta device, so that a file always fits the
loader that reads it. The weights are seeded: they prove the pipeline, not the picture.
"""

from __future__ import annotations

import io
import json
import math
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

# names in the shipped workflows -> the tiny files that stand in for them
REAL_TO_TINY = {
    "wan2.2_s2v_14B_fp8_scaled.safetensors": "wan2.2_s2v_14B_tiny.safetensors",
    "checkpoint.safetensors": "cointeract_tiny.safetensors",
    "checkpoint_pose.safetensors": "cointeract_pose_tiny.safetensors",
    "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors": "wan2.2_4steps_tiny.safetensors",
    "wan_2.1_vae.safetensors": "wan_2.1_vae_tiny.safetensors",
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors": "umt5_xxl_tiny.pt",
    "wav2vec2_large_xlsr53_chinese_fp32.safetensors": "wav2vec2_large_xlsr53_chinese_tiny.pt",
}
SEED = 20260419
DIM, FFN, LAYERS, HEADS = 128, 192, 2, 1  # the host takes one head per 128 channels
AUDIO_INJECTORS = 12  # the host's number, however few the blocks are
LORA_RANK, EXPERT_HIDDEN = 4, 16
FAST_RANK, FAST_ALPHA = 8, 1  # the published one has rank 64 and alpha 8, a whole number: an eighth of its product
VAE_DIM = 2  # the published one has 96; larger ones take most of a run on a CPU
VAE_LAST, VAE_WIDER = "conv1.weight", 6.0  # makes latents about as wide as the published ones, not lost in noise
# the width of the text encoder is the transformer's text_dim, which the host does not read off the file
TEXT_SIZES = {"d_model": 4096, "d_ff": 8, "d_kv": 8, "num_heads": 1, "num_layers": 2, "vocab_size": 512}
TEXT_WORDS = (
    "a woman in bright room looks into the camera speaks with friendly voice and holds bottle next to her face "
    "she lowers turns its label smiles man product table hand light blurry static worst quality"
)
# the host takes any file with this tensor of width 4096 (later hosts: 10240 rows) for umT5-XXL
TEXT_MARK, TEXT_MARK_SHAPE = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight", (10240, 4096)
POOL = 1 << 16  # numbers that all matrices of a .pt file share


def base_shapes() -> Shapes:
    """Wan2.2-S2V without CoInteract."""
    from comfy.ldm.wan.model import WanModel_S2V

    return host_shapes(WanModel_S2V, dim=DIM, ffn_dim=FFN, num_heads=HEADS, num_layers=LAYERS)


def fast_shapes() -> Shapes:
    """A step-distilled LoRA in the form of the published one, on the layers of Wan2.2 text-to-video."""
    linear = {f"{name}.{part}": (DIM, DIM) for name in _attentions() for part in "qkvo"}
    for n in range(LAYERS):
        linear |= {f"blocks.{n}.ffn.0": (FFN, DIM), f"blocks.{n}.ffn.2": (DIM, FFN)}
    shapes: Shapes = {}
    for name, (rows, columns) in linear.items():
        shapes[f"diffusion_model.{name}.lora_down.weight"] = (FAST_RANK, columns)
        shapes[f"diffusion_model.{name}.lora_up.weight"] = (rows, FAST_RANK)
        shapes[f"diffusion_model.{name}.alpha"] = ()
    return shapes


def _attentions() -> list[str]:
    return [f"blocks.{n}.{kind}_attn" for n in range(LAYERS) for kind in ("self", "cross")]


def adapter_shapes() -> Shapes:
    """A CoInteract adapter under its authors' names: LoRA, router and experts."""
    attention = _attentions()
    attention += [f"audio_injector.injector.{n}" for n in range(AUDIO_INJECTORS)]
    linear = {f"{name}.{part}": (DIM, DIM) for name in attention for part in "qkvo"}
    for n in range(LAYERS):
        linear |= {f"blocks.{n}.ffn.ffn_base.0": (FFN, DIM), f"blocks.{n}.ffn.ffn_base.2": (DIM, FFN)}
    shapes: Shapes = {}
    for name, (rows, columns) in linear.items():
        shapes[f"{name}.lora_A.default.weight"] = (LORA_RANK, columns)
        shapes[f"{name}.lora_B.default.weight"] = (rows, LORA_RANK)
    half = DIM // 2
    for n in range(LAYERS):
        ffn = {"router.0": (half, DIM), "router.2": (half,), "router.3": (3, half)}
        for expert in ("hand_expert", "face_expert"):
            ffn |= {f"{expert}.fc1": (EXPERT_HIDDEN, DIM), f"{expert}.fc2": (DIM, EXPERT_HIDDEN)}
        for name, shape in ffn.items():
            shapes |= {f"blocks.{n}.ffn.{name}.weight": shape, f"blocks.{n}.ffn.{name}.bias": shape[:1]}
    return shapes


def vae_shapes(width: int = VAE_DIM) -> Shapes:
    """The causal VAE of Wan 2.1."""
    from comfy.ldm.wan.vae import WanVAE

    sizes = {"z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [], "dropout": 0.0}
    return host_shapes(WanVAE, dim=width, temperal_downsample=[False, True, True], **sizes)


def text_shapes(sizes: dict[str, int]) -> Shapes:
    """A umT5 encoder; its sizes go into a JSON file beside it (see `tiny_host_config`)."""
    import comfy.text_encoders.t5
    import comfy.text_encoders.wan

    published = Path(comfy.text_encoders.wan.__file__).with_name("umt5_config_xxl.json")
    config = json.loads(published.read_text(encoding="utf-8")) | sizes
    return host_shapes(comfy.text_encoders.t5.T5, config_dict=config)


def speech_shapes() -> Shapes:
    """The large wav2vec2; the host builds it in this size only."""
    from comfy.audio_encoders.wav2vec2 import Wav2Vec2Model

    return host_shapes(Wav2Vec2Model)


def host_shapes(kind: Callable[..., Any], **sizes: Any) -> Shapes:
    """Names and shapes of a host class, built without memory."""
    import comfy.ops
    import torch

    operations = {} if kind.__name__ == "WanVAE" else {"operations": comfy.ops.disable_weight_init, "dtype": None}
    with torch.device("meta"):
        module = kind(**sizes, **operations, **({"device": "meta"} if operations else {}))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def weights(shapes: Shapes, dtype: torch.dtype, draw: Callable[[str, tuple[int, ...]], Tensor]) -> dict[str, Tensor]:
    """Fill a state dict: scales 1, offsets 0, everything else by `draw`, scaled to keep the size of its input."""
    import torch

    state = {}
    for name, shape in shapes.items():
        leaf = name.rpartition(".")[2]
        if leaf == "bias":
            state[name] = torch.zeros(shape, dtype=dtype)
        elif leaf in {"gamma", "original0"} or (leaf == "weight" and len(shape) == 1):
            state[name] = torch.ones(shape, dtype=dtype)  # norms, and the length of a weight-normed convolution
        elif leaf == "alpha":
            state[name] = torch.tensor(FAST_ALPHA)
        elif name == "casual_audio_encoder.weights":
            state[name] = torch.full(shape, 0.01, dtype=dtype)  # as the host starts it: the mean of 25 layers
        else:
            state[name] = draw(name, shape).to(dtype)
    return state


def random(name: str, shape: tuple[int, ...]) -> Tensor:
    """Values of their own, seeded by the tensor's name."""
    import torch

    generator = torch.Generator().manual_seed(SEED ^ zlib.crc32(name.encode()))
    return torch.randn(shape, generator=generator) * _spread(name, shape)


def _spread(name: str, shape: tuple[int, ...]) -> float:
    if "modulation" in name or len(shape) == 1 or name.startswith("trainable") or "padding" in name:
        return 0.1
    if name == "shared.weight":
        return 1.0  # an embedding
    return 1.0 / math.sqrt(math.prod(shape[1:]))


def shared(dtype: torch.dtype) -> Callable[[str, tuple[int, ...]], Tensor]:
    """A `draw` whose matrices are windows into one vector per scale.

    A `.pt` file keeps storages and strides, so a model of hundreds of millions of numbers takes a few megabytes. Row r
    of a matrix is its vector from place r on; no two rows are equal.
    """
    import torch

    vectors: dict[float, Tensor] = {}

    def draw(name: str, shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return random(name, shape)
        spread, columns = _spread(name, shape), math.prod(shape[1:])
        if spread not in vectors:
            generator = torch.Generator().manual_seed(SEED + len(vectors))
            vectors[spread] = (torch.randn(POOL, generator=generator) * spread).to(dtype)
        start = zlib.crc32(name.encode()) % (POOL - columns - shape[0])
        window = vectors[spread][start : start + columns + shape[0] - 1].unfold(0, columns, 1)
        return window.unflatten(1, shape[1:])

    return draw


def spiece_model() -> Tensor:
    """A SentencePiece tokenizer trained on a few words, as bytes; its ids are umT5's."""
    import sentencepiece
    import torch

    words = TEXT_WORDS.split()
    lines = [" ".join(words[start : start + 8]) for start in range(len(words))]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=TEXT_SIZES["vocab_size"],
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)


def write(folder: Path) -> None:
    """Write every tiny file below the host's `models` folder."""
    import torch
    from safetensors.torch import save_file

    places = {name: folder / name for name in ("diffusion_models", "model_patches", "loras", "vae")}
    places |= {name: folder / name for name in ("text_encoders", "audio_encoders")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    tiny = REAL_TO_TINY
    save_file(
        weights(base_shapes(), torch.bfloat16, random),
        places["diffusion_models"] / tiny["wan2.2_s2v_14B_fp8_scaled.safetensors"],
    )
    for number, real in enumerate(("checkpoint.safetensors", "checkpoint_pose.safetensors")):
        state = weights(adapter_shapes(), torch.bfloat16, lambda name, shape, n=number: random(f"{n} {name}", shape))
        save_file(state, places["model_patches"] / tiny[real])
    save_file(
        weights(fast_shapes(), torch.float32, random),
        places["loras"] / tiny["wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"],
    )
    vae = weights(vae_shapes(), torch.float32, random)
    vae[VAE_LAST] = vae[VAE_LAST] * VAE_WIDER
    save_file(vae, places["vae"] / tiny["wan_2.1_vae.safetensors"])

    text = places["text_encoders"] / tiny["umt5_xxl_fp8_e4m3fn_scaled.safetensors"]
    state = weights(text_shapes(TEXT_SIZES), torch.float16, shared(torch.float16)) | {"spiece_model": spiece_model()}
    state[TEXT_MARK] = torch.zeros(1, 1, dtype=torch.float16).expand(TEXT_MARK_SHAPE)
    torch.save(state, text)
    text.with_suffix(".json").write_text(json.dumps(TEXT_SIZES, indent=1), encoding="utf-8")
    speech = places["audio_encoders"] / tiny["wav2vec2_large_xlsr53_chinese_fp32.safetensors"]
    torch.save(weights(speech_shapes(), torch.float16, shared(torch.float16)), speech)


def main(arguments: list[str]) -> None:
    """Write the files into the folder named on the command line."""
    from comfy.cli_args import args

    args.cpu = True  # before the host looks for a GPU: only shapes are needed
    write(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
