"""Recognise a model file by the names and shapes in its header.

The marks of other Wan models are the tensors the host itself tells them apart by.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..constants import LATENT_CHANNELS
from .header import Header, TensorInfo
from .keys import DOWN, EXPERT_KEY, EXPERT_WIDTH_KEY, EXPERTS, EXTRAS, HOI, LoraName, parse_lora, strip_prefix, to_ours


class FileKind(Enum):
    """What a file holds; the value reads well after “holds”."""

    BASE = "a Wan2.2-S2V model"
    MERGED = "a CoInteract model with its adapter merged in"
    ADAPTER = "a CoInteract adapter"
    LORA = "a LoRA without CoInteract's experts"
    OTHER_WAN = "another Wan model"
    VAE = "a VAE"
    TEXT_ENCODER = "a text encoder"
    AUDIO_ENCODER = "an audio encoder"
    UNKNOWN = "no model this pack knows"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a header says.

    Attributes:
        label: the same as `kind` in words, more exact for another Wan model.
        dim: width of the tokens, None where it cannot be told.
        layers: blocks of the backbone, or blocks with experts of an adapter.
        rank: of the first LoRA layer.
        expert_hidden: width of the experts, 0 without.
        hoi: whether the HOI stream's tensors are there.
    """

    kind: FileKind
    label: str
    dim: int | None = None
    layers: int = 0
    rank: int | None = None
    expert_hidden: int = 0
    hoi: bool = False


S2V_MARK = "casual_audio_encoder.encoder.final_linear.weight"
# a tensor's name and the model it marks, in the order to ask
WAN_MARKS = (
    ("vace_patch_embedding.weight", "VACE"),
    ("control_adapter.conv.weight", "Fun Camera"),
    ("audio_proj.audio_proj_glob_1.layer.bias", "HuMo"),
    ("face_adapter.fuser_blocks.0.k_norm.weight", "Animate"),
    ("audio_proj.proj1.weight", "MultiTalk/InfiniteTalk"),
    ("img_emb.proj.0.bias", "image-to-video (I2V)"),
)
I2V_CHANNELS = 36  # Wan2.2 I2V has no image embedding but takes noise, mask and image latents
TI2V_CHANNELS = 48  # Wan2.2 TI2V-5B works in the latents of the Wan 2.2 VAE
ENCODER_MARKS = (
    ("decoder.middle.0.residual.0.gamma", FileKind.VAE),
    ("decoder.conv_in.weight", FileKind.VAE),
    ("decoder.conv_in.conv.weight", FileKind.VAE),
    ("encoder.block.0.layer.0.SelfAttention.q.weight", FileKind.TEXT_ENCODER),
    ("feature_extractor.conv_layers.0.conv.weight", FileKind.AUDIO_ENCODER),
    ("wav2vec2.feature_extractor.conv_layers.0.conv.weight", FileKind.AUDIO_ENCODER),
)


def identify(header: Header) -> Identity:
    """What the file with this header holds."""
    bare = {strip_prefix(name): info for name, info in header.items()}
    if "head.modulation" in bare and "patch_embedding.weight" in bare:
        return _wan(bare)
    loras = {name: lora for name in bare if (lora := parse_lora(name)) is not None}
    extras = {ours: info for name, info in bare.items() if (ours := to_ours(name)).startswith(EXTRAS)}
    if loras or extras:
        experts = EXPERT_KEY in extras
        kind = FileKind.ADAPTER if experts else FileKind.LORA
        rank = next((_side(bare[name], 0) for name, lora in loras.items() if lora.part == DOWN), None)
        dim = _side(extras[EXPERT_KEY], -1) if experts else _lora_width(bare, loras)
        return Identity(kind, kind.value, dim, _count(extras, EXPERTS), rank, _width(extras), _hoi(extras))
    for mark, kind in ENCODER_MARKS:
        if mark in bare:
            return Identity(kind, kind.value)
    return Identity(FileKind.UNKNOWN, FileKind.UNKNOWN.value)


def _wan(bare: Header) -> Identity:
    names = {to_ours(name): info for name, info in bare.items()}
    dim, layers = _side(names["head.modulation"], -1), _count(names, "blocks.")
    if S2V_MARK in names:
        kind = FileKind.MERGED if EXPERT_KEY in names else FileKind.BASE
        return Identity(kind, kind.value, dim, layers, None, _width(names), _hoi(names))
    model = next((model for mark, model in WAN_MARKS if mark in names), None)
    if model is None:
        channels = _side(names["patch_embedding.weight"], 1)
        by_channels = {
            I2V_CHANNELS: "image-to-video (I2V)",
            TI2V_CHANNELS: "TI2V-5B",
            LATENT_CHANNELS: "text-to-video (T2V)",
        }
        model = None if channels is None else by_channels.get(channels)
    label = f"the Wan {model} model" if model else FileKind.OTHER_WAN.value
    return Identity(FileKind.OTHER_WAN, label, dim, layers)


def _side(info: TensorInfo, side: int) -> int | None:
    """A side of a tensor; None where a damaged file gives it fewer."""
    sides = len(info.shape)
    return info.shape[side] if -sides <= side < sides else None


def _width(names: Header) -> int:
    return (_side(names[EXPERT_WIDTH_KEY], 0) or 0) if EXPERT_WIDTH_KEY in names else 0


def _hoi(names: Header) -> bool:
    return any(name.startswith(HOI) for name in names)


def _count(names: Header, beginning: str) -> int:
    numbers = {name[len(beginning) :].split(".", 1)[0] for name in names if name.startswith(beginning)}
    return len({number for number in numbers if number.isdigit()})


def _lora_width(bare: Header, loras: dict[str, LoraName]) -> int | None:
    for name, lora in loras.items():
        if lora.part == DOWN and lora.module.endswith("self_attn.q"):
            return _side(bare[name], -1)
    return None
