"""Where a run's arithmetic happens: in this process alone, or spread over several by Hugging Face Accelerate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...errors import InputError

# ways to spread a model over processes, and how accelerate launch tells of them; none was tried
SHARDED = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}
LONGEST_WAIT = timedelta(days=7)  # the others wait while the first process encodes all rows
Values: TypeAlias = Mapping[str, "float | None"]


class Engine(Protocol):
    """What the trainer asks for."""

    device: torch.device
    processes: int
    rank: int

    def prepare(self, model: nn.Module, optimiser: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Model and optimiser as this engine runs them."""

    def collecting(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Around one sample's forward and backward; gradients meet in the last of a step."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> float:
        """Shorten the gradients to `limit` (0: leave them) and give the length they had."""

    def mean(self, values: Values) -> dict[str, float | None]:
        """Each value's mean over the processes that have one."""

    def wait(self) -> None:
        """Return when every process is here."""


class LocalEngine:
    """One process."""

    processes = 1
    rank = 0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def prepare(self, model: nn.Module, optimiser: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Both as they are."""
        return model, optimiser

    def collecting(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Autograd's own."""
        loss.backward()

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> float:
        """See `Engine.clip`."""
        return torch.nn.utils.clip_grad_norm_(list(parameters), limit or torch.inf).item()

    def mean(self, values: Values) -> dict[str, float | None]:
        """The values."""
        return dict(values)

    def wait(self) -> None:
        """Nobody to wait for."""


class AccelerateEngine:
    """Several processes, as `accelerate launch` was told to run them.

    Raises:
        InputError: the accelerate package is not installed, or set to spread the model.
    """

    def __init__(self, cpu: bool) -> None:
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
        except ImportError as error:
            raise InputError(
                "Training with several processes needs the package accelerate, which is not installed; "
                "pip install accelerate."
            ) from error
        for asked, name in SHARDED.items():
            if os.environ.get(asked, "false").lower() == "true":
                raise InputError(
                    f"accelerate is set to use {name}, but training was tried only with the whole model in every "
                    "process; run accelerate config again without it."
                )
        # above timestep 900 the experts get no gradient, so every parameter may be unused in some step
        how = DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)
        waiting = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
        # the arithmetic is that of one process, whatever `accelerate config` has written for other programs
        self._accelerator = Accelerator(mixed_precision="no", cpu=cpu, kwargs_handlers=[how, waiting])
        self.device = self._accelerator.device
        self.processes = self._accelerator.num_processes
        self.rank = self._accelerator.process_index

    def prepare(self, model: nn.Module, optimiser: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Wrapped for its way of sharing; the model stays where the memory mode has put it."""
        wrapped: tuple[nn.Module, Optimizer] = self._accelerator.prepare(
            model, optimiser, device_placement=[False, False]
        )
        return wrapped

    @contextmanager
    def collecting(self, model: nn.Module, last: bool) -> Iterator[None]:
        """Gradients are exchanged once a step, with those of its last sample."""
        with nullcontext() if last else self._accelerator.no_sync(model):
            yield

    def backward(self, loss: Tensor) -> None:
        """Accelerate's."""
        self._accelerator.backward(loss)

    def clip(self, parameters: Iterable[nn.Parameter], limit: float) -> float:
        """See `Engine.clip`."""
        return float(self._accelerator.clip_grad_norm_(list(parameters), limit or torch.inf))

    def mean(self, values: Values) -> dict[str, float | None]:
        """Each value's mean over the processes that have one."""
        names = list(values)
        sums = torch.tensor([[values[name] or 0.0, float(values[name] is not None)] for name in names])
        sums = self._accelerator.reduce(sums.to(self.device, torch.float64), "sum").tolist()
        return {name: total / count if count else None for name, (total, count) in zip(names, sums, strict=True)}

    def wait(self) -> None:
        """Accelerate's barrier."""
        self._accelerator.wait_for_everyone()
