"""Optimisers by name, their rate as a pure function of the step, and their state without pickle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...errors import InputError
from ..settings.optimizer import OptimizerSettings

# bytes per trained parameter of what each keeps: two moments in float32 or 8 bits, prodigy also where it began
STATE_BYTES = {"adamw": 8, "adamw8bit": 2, "prodigy": 16, "schedulefree": 8}
LISTED = "list"  # mark of a tuple or list in the facts, whose entries follow


class _TwoModes(Protocol):
    """A schedule-free optimiser, which has other weights to train than to use."""

    param_groups: list[dict[str, Any]]

    def train(self) -> None:
        """Put those to train into the parameters."""

    def eval(self) -> None:
        """Put those to use into the parameters."""


def make_optimiser(
    settings: OptimizerSettings, parameters: Sequence[nn.Parameter], *, fused: bool = False
) -> Optimizer:
    """The optimiser of a run.

    Args:
        fused: AdamW makes its step in one kernel on the CPU too, which rounds otherwise and takes half the time.

    Raises:
        InputError: its package is not installed.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    makers: dict[str, Callable[[], Optimizer]] = {
        # on a card in one kernel: the default there makes one more set of all parameters
        "adamw": lambda: torch.optim.AdamW(
            parameters, lr=rate, weight_decay=decay, fused=fused or _on_a_card(parameters)
        ),
        "adamw8bit": lambda: _adamw8bit(parameters, rate, decay),
        "prodigy": lambda: _prodigy(parameters, rate, decay),
        "schedulefree": lambda: _schedule_free(parameters, rate, decay),
    }
    try:
        return makers[settings.name]()
    except ImportError as error:
        package = {"adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}.get(settings.name, settings.name)
        raise InputError(
            f"optimizer.name is {settings.name}, but its package {package} is not installed; pip install {package}, or "
            "use adamw."
        ) from error


def _on_a_card(parameters: Sequence[nn.Parameter]) -> bool | None:
    """True, or None for PyTorch's own choice."""
    return True if parameters and all(parameter.device.type == "cuda" for parameter in parameters) else None


def _adamw8bit(parameters: Sequence[nn.Parameter], rate: float, decay: float) -> Optimizer:
    from bitsandbytes.optim import AdamW8bit

    optimiser: Optimizer = AdamW8bit(parameters, lr=rate, weight_decay=decay)
    return optimiser


def _prodigy(parameters: Sequence[nn.Parameter], rate: float, decay: float) -> Optimizer:
    from prodigyopt import Prodigy

    optimiser: Optimizer = Prodigy(parameters, lr=rate, weight_decay=decay)
    return optimiser


def _schedule_free(parameters: Sequence[nn.Parameter], rate: float, decay: float) -> Optimizer:
    from schedulefree import AdamWScheduleFree

    free = AdamWScheduleFree(parameters, lr=rate, weight_decay=decay)
    free.train()
    optimiser: Optimizer = free
    return optimiser


def learning_rate_at(settings: OptimizerSettings, step: int, steps: int) -> float:
    """The rate of a step, counted from 0, of a run of `steps` steps."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    passed = (step - settings.warmup) / max(steps - settings.warmup, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(passed, 1.0)))


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Use a rate from the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def _knows_two_modes(optimiser: Optimizer) -> TypeGuard[_TwoModes]:
    return "train_mode" in optimiser.param_groups[0]  # only schedule-free ones do


@contextmanager
def averaged_weights(optimiser: Optimizer) -> Iterator[None]:
    """Inside, the parameters are those to be used and saved; copy what is to outlast the context.

    Schedule-free optimisers train beside them.  The way back is by a copy, because theirs rounds, and looking at a run
    must not change it.  Other optimisers train the parameters themselves, which stay as they are.
    """
    if not _knows_two_modes(optimiser):
        yield
        return
    parameters: list[Tensor] = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    kept = [parameter.detach().to("cpu", copy=True) for parameter in parameters]
    optimiser.eval()
    try:
        yield
    finally:
        optimiser.train()
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)


def optimiser_tensors(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as tensors by name, and the rest as JSON holds it; the next step changes the tensors."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    facts = {
        "state": _pack(state["state"], "state", tensors),
        "groups": [
            _pack({key: value for key, value in group.items() if key != "params"}, f"groups.{number}", tensors)
            for number, group in enumerate(state["param_groups"])
        ],
    }
    return tensors, facts


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put a state back into an optimiser made for the same parameters in the same order.

    Raises:
        InputError: a part of the state is missing.
    """
    own = optimiser.state_dict()
    try:
        groups = [
            {**_unpack(saved, f"groups.{number}", tensors), **_kernels(group), "params": group["params"]}
            for number, (saved, group) in enumerate(zip(facts["groups"], own["param_groups"], strict=True))
        ]
        state = {int(name): value for name, value in _unpack(facts["state"], "state", tensors).items()}
    except KeyError as error:
        raise InputError(
            f"The saved optimiser lacks {error.args[0]}, but a whole one was expected; remove that state to resume "
            "from the one before it."
        ) from error
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    lent = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
    for held in (*optimiser.state.values(), *optimiser.param_groups):
        for key, value in held.items():
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() in lent:
                held[key] = value.clone()  # not the state's own, whose file nobody could remove on Windows


def _kernels(group: Mapping[str, object]) -> dict[str, object]:
    """What says how steps are computed, not which: that follows from where the parameters lie now."""
    return {name: group[name] for name in ("foreach", "fused") if name in group}


def _pack(value: object, path: str, tensors: dict[str, Tensor]) -> dict[str, object]:
    """JSON of a nested value; a tensor is put aside under its path, where the JSON says only that it is one."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach()
        return {"tensor": True}
    if isinstance(value, Mapping):
        return {"items": {str(key): _pack(entry, f"{path}.{key}", tensors) for key, entry in value.items()}}
    if isinstance(value, tuple | list):
        return {LISTED: [_pack(entry, f"{path}.{number}", tensors) for number, entry in enumerate(value)]}
    return {"value": value}


def _unpack(packed: Mapping[str, Any], path: str, tensors: Mapping[str, Tensor]) -> Any:
    if "tensor" in packed:
        return tensors[path]
    if "items" in packed:
        return {key: _unpack(entry, f"{path}.{key}", tensors) for key, entry in packed["items"].items()}
    if LISTED in packed:
        return tuple(_unpack(entry, f"{path}.{number}", tensors) for number, entry in enumerate(packed[LISTED]))
    return packed["value"]
