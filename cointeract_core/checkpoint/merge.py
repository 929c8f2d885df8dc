"""Check a base and an adapter against the model they make, and sort the adapter's tensors.

The LoRA part stays apart, to be applied as W + strength · B · A (times alpha / rank only where a file brings `.alpha`;
the authors' files bring none); router and experts join the base's state dict whole; the HOI stream is for training.
Everything is decided from names and shapes, before any tensor is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import CheckpointKeysError, ModelFileError, name_some
from .header import Header, TensorInfo
from .identify import FileKind, Identity
from .keys import ALPHA, DOWN, EXPERTS, EXTRAS, HOI, UP, LoraName, parse_lora, rename_all

T = TypeVar("T")
Shapes = Mapping[str, tuple[int, ...]]

ALL_IN_ONE_PREFIX = "model.diffusion_model."  # beside VAE and text encoder in one file
FORMAT_MARKS = ("scaled_fp8",)  # say how a file is quantised; no part of the model
ATTENTION_MARK = ".comfy_attention.config"  # behind a layer's name: the attention the file prefers there
PRECISION_ADVICE = "choose wan2.2_s2v_14B_bf16.safetensors, its fp8_scaled version, the published shards or a GGUF"


@dataclass(frozen=True, slots=True)
class AdapterReport:
    """How many tensors of an adapter found their place."""

    lora: int
    experts: int
    hoi: int

    def sentence(self) -> str:
        """``896 LoRA tensors, 560 expert tensors, 0 unknown``."""
        text = f"{self.lora} LoRA tensors, {self.experts} expert tensors, 0 unknown"
        return f"{text}, {self.hoi} of the HOI stream left out (training only)" if self.hoi else text


@dataclass(frozen=True, slots=True)
class AdapterPlan:
    """Where each tensor of an adapter goes: its name in the file to the name it gets."""

    lora: dict[str, str] = field(default_factory=dict)
    experts: dict[str, str] = field(default_factory=dict)
    hoi: dict[str, str] = field(default_factory=dict)
    rank: int | None = None

    @property
    def report(self) -> AdapterReport:
        """Counts for the user."""
        return AdapterReport(len(self.lora), len(self.experts), len(self.hoi))


def take(tensors: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The tensors of `names` under the names they get."""
    return {after: tensors[before] for before, after in names.items()}


def base_names(header: Iterable[str]) -> dict[str, str]:
    """Our names for the transformer's tensors of a base, without anything that comes in the same file.

    Raises:
        CheckpointKeysError: a tensor under two names.
    """
    names = list(header)
    inside = [name for name in names if name.startswith(ALL_IN_ONE_PREFIX)]
    return rename_all(inside or names)


def check_base(what: str, base: Identity) -> None:
    """Refuse a base of another model.

    Args:
        what: input and file, such as ``base wan.safetensors``.

    Raises:
        ModelFileError: anything but S2V and merged CoInteract models.
    """
    if base.kind not in (FileKind.BASE, FileKind.MERGED):
        advice = "choose it as adapter and " if base.kind is FileKind.ADAPTER else ""
        raise ModelFileError(
            f"{what} holds {base.label}, but CoInteract runs on Wan2.2-S2V-14B; {advice}{PRECISION_ADVICE} as base."
        )


def check_pair(what: str, base: Identity, adapter: Identity) -> None:
    """Refuse an adapter that is none, or not for this base.

    Raises:
        ModelFileError: wrong kind of file, other width, or other number of blocks.
    """
    if adapter.kind not in (FileKind.ADAPTER, FileKind.LORA):
        raise ModelFileError(
            f"{what} holds {adapter.label}, but a CoInteract adapter was expected; choose checkpoint.safetensors, "
            "checkpoint_pose.safetensors or one saved by this pack."
        )
    if adapter.dim is not None and adapter.dim != base.dim:
        raise ModelFileError(
            f"{what} is for a model of width {adapter.dim}, but the base is {base.dim} wide; choose the adapter made "
            "for this base."
        )
    if adapter.kind is FileKind.ADAPTER and adapter.layers != base.layers:
        raise ModelFileError(
            f"{what} has experts for {adapter.layers} blocks, but the base has {base.layers}; choose the adapter made "
            "for this base."
        )
    if adapter.kind is FileKind.ADAPTER and base.kind is FileKind.MERGED:
        raise ModelFileError(
            f"{what} brings experts, but the base already has an adapter merged in; choose none as adapter, or a plain "
            "Wan2.2-S2V base."
        )
    if adapter.kind is FileKind.LORA and base.kind is FileKind.BASE:
        raise ModelFileError(
            f"{what} holds a LoRA without CoInteract's experts, but an adapter with both was expected; choose "
            "checkpoint.safetensors here and add the LoRA with Load CoInteract LoRA."
        )


def check_tensors(what: str, found: Mapping[str, TensorInfo], expected: Shapes) -> None:
    """Compare our names and shapes with those of the model.

    A tensor beside a backbone layer's weight, such as a scale, belongs to the layer's number format and is the host's
    to judge; so are the packed shapes of such layers.  Our extras are all expected by name.

    Raises:
        CheckpointKeysError: unknown, missing, or of another shape.
    """
    layers = {name.rpartition(".")[0] for name in expected if name.endswith(".weight") and not name.startswith(EXTRAS)}
    marks = {*FORMAT_MARKS, *(name.rpartition(".")[0] + ATTENTION_MARK for name in layers)}
    companions = {
        name
        for name in found.keys() - expected.keys()
        if name in marks or (name.rpartition(".")[0] in layers and parse_lora(name) is None)
    }
    packed = {name.rpartition(".")[0] for name in companions}
    unknown = found.keys() - expected.keys() - companions
    _refuse(what, unknown, "tensors the model does not have", "none was expected")
    _refuse(what, expected.keys() - found.keys(), "missing tensors", "all were expected", verb="has")
    other = {
        name: found[name].shape
        for name in expected
        if found[name].shape != tuple(expected[name]) and name.rpartition(".")[0] not in packed
    }
    if other:
        raise _shapes_error(what, other, lambda name: tuple(expected[name]))


def plan_adapter(what: str, adapter: Header, expected: Shapes) -> AdapterPlan:
    """Sort an adapter's tensors.

    Args:
        what: input and file, such as ``adapter checkpoint.safetensors``.
        adapter: its header.
        expected: names and shapes of the backbone with every extra the adapter may bring.

    Raises:
        CheckpointKeysError: tensors without a place, incomplete parts, or other shapes.
    """
    loras = {name: lora for name in adapter if (lora := parse_lora(name)) is not None}
    extras = {name: ours for name, ours in rename_all(adapter.keys() - loras.keys()).items() if ours in expected}
    extras = {name: ours for name, ours in extras.items() if ours.startswith(EXTRAS)}
    unknown = {name for name, lora in loras.items() if f"{lora.module}.weight" not in expected}
    unknown |= adapter.keys() - loras.keys() - extras.keys()
    _refuse(what, unknown, "tensors the model does not have", "none was expected")

    brought = {ours: adapter[name].shape for name, ours in extras.items()}
    for part in (EXPERTS, HOI):
        whole = {name for name in expected if name.startswith(part)}
        if whole & brought.keys():
            _refuse(what, whole - brought.keys(), "missing tensors", "all were expected", verb="has")
    other = {name: shape for name, shape in brought.items() if shape != tuple(expected[name])}
    if other:
        raise _shapes_error(what, other, lambda name: tuple(expected[name]))
    return AdapterPlan(
        {name: lora.host for name, lora in loras.items()},
        {name: ours for name, ours in extras.items() if ours.startswith(EXPERTS)},
        {name: ours for name, ours in extras.items() if ours.startswith(HOI)},
        _check_lora(what, adapter, loras, expected),
    )


def _check_lora(what: str, adapter: Header, loras: dict[str, LoraName], expected: Shapes) -> int | None:
    """Check the LoRA layers and give the largest rank."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, lora in loras.items():
        parts = layers.setdefault(lora.module, {})
        if lora.part in parts:
            raise CheckpointKeysError(
                f"{what} holds {lora.host} under several names, but one was expected; save the adapter again."
            )
        parts[lora.part] = adapter[name].shape
    absent = {
        LoraName(module, part).host for module, parts in layers.items() for part in (DOWN, UP) if part not in parts
    }
    _refuse(what, absent, "missing tensors", "each LoRA layer needs both parts", verb="has")
    other, ranks = {}, set()
    for module, parts in layers.items():
        weight, rank = tuple(expected[f"{module}.weight"]), next(iter(parts[DOWN]), 0)  # a number has no sides
        ranks.add(rank)
        good = len(weight) == 2 and rank > 0 and parts[DOWN] == (rank, weight[1]) and parts[UP] == (weight[0], rank)
        if not good or parts.get(ALPHA, ()) not in ((), (1,)):
            other[module] = (parts[UP], parts[DOWN])
    if other:
        raise _shapes_error(what, other, lambda module: f"a rank between {tuple(expected[f'{module}.weight'])}")
    return max(ranks, default=None)


def _refuse(what: str, names: Iterable[str], problem: str, expectation: str, verb: str = "holds") -> None:
    names = list(names)
    if names:
        raise CheckpointKeysError(
            f"{what} {verb} {len(names)} {problem} ({name_some(names)}), but {expectation}; "
            "download it again or choose the file made for this model."
        )


def _shapes_error(what: str, other: Mapping[str, object], wanted: Callable[[str], object]) -> CheckpointKeysError:
    first = min(other)
    return CheckpointKeysError(
        f"{what} holds {len(other)} tensors of another shape ({name_some(other)}): {first} is {other[first]}, but "
        f"{wanted(first)} was expected; choose the file made for this model."
    )
