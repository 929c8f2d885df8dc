"""Names of tensors: the authors' checkpoints, ours, and the forms LoRA files come in.

Our backbone names are the host's own, so LoRAs and tools for Wan2.2-S2V keep working; our extras lie under
``cointeract.``.  The authors call the HOI stream *depth*; that word lives in this file only.
Source: names written and read by the authors' trainer and loader (golden files `lora`, `keys_14b`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..errors import CheckpointKeysError, name_some

EXTRAS = "cointeract."
EXPERTS = "cointeract.experts."
HOI = "cointeract.hoi."
PLAIN_KEY = "cointeract.plain"  # marks a base without adapter that should still run our forward
EXPERT_KEY = "cointeract.experts.0.router.0.weight"
SCALE = "expert_scale"  # beside an expert layer's float8 weight; a name of ours, for ComfyUI renames its own
# what it was called before, and what newer ComfyUI makes of that; both are still read
OLD_SCALES = ("scale_weight", "weight_scale")
QUANT_MARK = "comfy_quant"  # beside a layer's weight: how newer ComfyUI keeps it
EXPERT_SCALE_KEY = f"cointeract.experts.0.router.0.{SCALE}"
EXPERT_WIDTH_KEY = "cointeract.experts.0.hand.fc1.weight"
HOI_KEY = "cointeract.hoi.patch_embedding.weight"

OFFICIAL_HOI = "depth"  # the authors' word for the HOI stream in names of tensors and inputs
OFFICIAL_HOI_COLUMN = f"{OFFICIAL_HOI}_video"  # and in their training table
HOST_PREFIX = "diffusion_model."  # of LoRA names the host loads
PREFIXES = ("base_model.model.", "model.diffusion_model.", HOST_PREFIX, "pipe.dit.")

# official name, our name; {n} is the number of a block, and both sides are beginnings of a name
FFN_NAMES = (
    ("blocks.{n}.ffn.ffn_base.0.", "blocks.{n}.ffn.0."),
    ("blocks.{n}.ffn.ffn_base.2.", "blocks.{n}.ffn.2."),
)
EXTRA_NAMES = (
    ("blocks.{n}.ffn.router.", "cointeract.experts.{n}.router."),
    ("blocks.{n}.ffn.hand_expert.", "cointeract.experts.{n}.hand."),
    ("blocks.{n}.ffn.face_expert.", "cointeract.experts.{n}.face."),
    ("blocks.{n}.depth_modulation", "cointeract.hoi.modulation.{n}"),
    ("depth_patch_embedding.", "cointeract.hoi.patch_embedding."),
    ("depth_head.", "cointeract.hoi.head."),
    ("depth_cond_mask.", "cointeract.hoi.type_embedding."),
)

DOWN, UP, ALPHA = "down", "up", "alpha"
# endings of LoRA tensors; the first of each part is the one we write
LORA_ENDINGS = {
    DOWN: (".lora_A.weight", ".lora_A.default.weight", ".lora_down.weight"),
    UP: (".lora_B.weight", ".lora_B.default.weight", ".lora_up.weight"),
    ALPHA: (".alpha",),
}
# layers of the backbone the authors put LoRA on
LORA_MODULE = re.compile(r"blocks\.\d+\.((self|cross)_attn\.[qkvo]|ffn\.[02])|audio_injector\.injector\.\d+\.[qkvo]")


@dataclass(frozen=True, slots=True)
class LoraName:
    """A LoRA tensor: the layer it belongs to, under our name, and which part it is."""

    module: str
    part: str

    @property
    def host(self) -> str:
        """The name the host's LoRA loader reads."""
        return f"{HOST_PREFIX}{self.module}{LORA_ENDINGS[self.part][0]}"


def strip_prefix(name: str) -> str:
    """`name` without the prefixes trainers and savers put in front, however many."""
    begin = 0
    while True:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix, begin)), None)
        if prefix is None:
            return name[begin:]
        begin += len(prefix)


@lru_cache(maxsize=32)
def _pattern(beginning: str) -> re.Pattern[str]:
    pattern = re.escape(beginning).replace(r"\{n\}", r"(?P<n>\d+)")
    return re.compile(pattern if beginning.endswith(".") else pattern + "$")


def _rename(name: str, rules: Iterable[tuple[str, str]]) -> str:
    for before, after in rules:
        found = _pattern(before).match(name)
        if found:
            number = found.groupdict().get("n", "")
            return after.replace("{n}", number) + name[found.end() :]
    return name


def to_ours(name: str) -> str:
    """Our name for a tensor of a checkpoint in any accepted form; our own names stay as they are."""
    return expert_scale(_rename(strip_prefix(name), FFN_NAMES + EXTRA_NAMES))


def expert_scale(name: str) -> str:
    """Our name for the scale of an expert layer, under whatever name it was saved; others stay as they are."""
    layer, _, leaf = name.rpartition(".")
    return f"{layer}.{SCALE}" if leaf in OLD_SCALES and EXPERTS in name else name


def to_official(name: str, experts: bool = True) -> str:
    """The authors' name for one of ours.

    Args:
        experts: whether the model has experts; without them the authors do not rename the FFN.
    """
    rules = FFN_NAMES + EXTRA_NAMES if experts else EXTRA_NAMES
    return _rename(name, ((ours, official) for official, ours in rules))


def parse_lora(name: str) -> LoraName | None:
    """Take a LoRA tensor's name apart; None for a tensor that is not of a LoRA."""
    for part, endings in LORA_ENDINGS.items():
        for ending in endings:
            if name.endswith(ending):
                # a layer's rule wants the dot that follows the layer
                return LoraName(to_ours(name[: -len(ending)] + ".")[:-1], part)
    return None


def lora_to_official(name: str, experts: bool = True) -> str:
    """The authors' name for a LoRA tensor in any accepted form."""
    lora = parse_lora(name)
    if lora is None:
        return to_official(to_ours(name), experts)
    module = to_official(f"{lora.module}.", experts)[:-1]
    ending = LORA_ENDINGS[lora.part][-1 if lora.part == ALPHA else 1]
    return module + ending


def lora_modules(names: Iterable[str]) -> list[str]:
    """Layers the authors put LoRA on, out of a model's tensors under our names."""
    layers = (name.removesuffix(".weight") for name in names if name.endswith(".weight"))
    return [layer for layer in layers if LORA_MODULE.fullmatch(layer)]


def rename_all(names: Iterable[str]) -> dict[str, str]:
    """Our name for each name of a state dict without LoRA tensors.

    Raises:
        CheckpointKeysError: two names stand for the same tensor.
    """
    renamed = {name: to_ours(name) for name in names}
    if len(set(renamed.values())) != len(renamed):
        first = {ours: name for name, ours in reversed(renamed.items())}
        twice = [name for name, ours in renamed.items() if first[ours] != name]
        raise CheckpointKeysError(
            f"The file holds the same tensor under several names ({name_some(twice)}), but one each was expected; "
            "download or save it again."
        )
    return renamed
