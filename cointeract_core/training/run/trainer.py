"""The training loop: steps, curves, validation, samples, states, and going on where a run was cut."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ...errors import InputError
from ...model.forward import Recompute
from ..settings.sections import TrainSettings
from ..step.batch import groups_of
from ..step.step import StepInputs, StepLosses, step_inputs, visibility_at
from ..step.trainable import TrainableModel
from .curves import CurveLog
from .ema import AdapterEma
from .engine import Engine
from .fingerprint import differences
from .optimisers import (
    STATE_BYTES,
    averaged_weights,
    learning_rate_at,
    make_optimiser,
    optimiser_tensors,
    restore_optimiser,
    set_learning_rate,
)
from .state import RunState, check_room_for_run, load_state, remove_begun, save_state, states
from .turns import Sample, Turns
from .validation import validation_loss

log = logging.getLogger("cointeract")

STATES = "states"
AVERAGE_BYTES = 4  # of a running average, per parameter
BAD_GRADIENTS = 10  # so many in a row are no accident of one sample


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the surroundings of a run give to it.

    Attributes:
        to_model: puts a tensor onto the model's device in its precision.
        interrupts: exceptions that mean the user wants to stop; the run is saved, then they go on.
        after_step: told the steps that are done and this step's values.
        make_sample: makes a video with the adapter as it is; told the steps that are done.
        recompute: how blocks are run; see `memory`.
    """

    to_model: Callable[[Tensor], Tensor]
    interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
    after_step: Callable[[int, dict[str, float | None]], None] = lambda _step, _values: None
    make_sample: Callable[[int], None] | None = None
    recompute: Recompute | None = None


@dataclass(slots=True)
class Trainer:
    """One run.

    Attributes:
        model: with its LoRA attached.
        samples: the rows trained on; called whenever a row's turn comes.
        held_out: rows of the validation loss.
        root: folder of the run.
        identity: the run's fingerprint.
    """

    model: TrainableModel
    samples: Sequence[Sample]
    held_out: Sequence[Sample]
    settings: TrainSettings
    engine: Engine
    root: Path
    identity: Mapping[str, object]
    hooks: Hooks
    step: int = 0
    _ready: nn.Module = field(init=False)  # the model and its optimiser as the engine runs them
    _optimiser: Optimizer = field(init=False)
    _trained: dict[str, nn.Parameter] = field(init=False)
    _average: AdapterEma | None = field(default=None, init=False)
    _saved_at: int = field(default=-1, init=False)
    _skipped: int = field(default=0, init=False)  # steps whose gradient was no number
    _skipped_in_a_row: int = field(default=0, init=False)

    def run(self) -> dict[str, Tensor]:
        """Train to the last step and give the adapter, averaged where the settings say so.

        Raises:
            InputError: a state of another run lies in the folder, or loss or gradient are no longer numbers.
        """
        self._prepare()
        curves = CurveLog(self.root, keep_to_step=self.step) if self._main else None
        try:
            self._loop(curves)
        except self.hooks.interrupts:
            log.info("Stopped after step %d of %d", self.step, self.settings.run.steps)
            self._save_if_possible()
            raise
        finally:
            if curves is not None:
                curves.draw()
                curves.close()
        if self._skipped:
            log.warning("%d steps were left out: their gradient was no number", self._skipped)
        self._save_if_possible()
        return self.adapter()

    def adapter(self) -> dict[str, Tensor]:
        """The adapter as it would be saved now."""
        averaged = {} if self._average is None else self._average.tensors()
        with averaged_weights(self._optimiser):
            own = {name: tensor.to("cpu", copy=True) for name, tensor in self.model.adapter().items()}
        return {**own, **averaged}

    @property
    def _main(self) -> bool:
        return self.engine.rank == 0

    def _prepare(self) -> None:
        trained = self._trained = self.model.trainable()
        self._optimiser = make_optimiser(self.settings.optimizer, list(trained.values()), fused=self.model.whole)
        self._average = AdapterEma(self.settings.optimizer.ema) if self.settings.optimizer.ema else None
        if self._main:
            self.root.mkdir(parents=True, exist_ok=True)
            remove_begun(self.root / STATES)
        self.engine.wait()
        found = states(self.root / STATES)
        if found and not self.settings.run.resume:
            raise InputError(
                f"The run {self.settings.run.name} already has {len(found)} saved states, but resume is off; choose "
                "another name, or switch resume on to continue it."
            )
        if found:
            self._restore(load_state(found[-1]), found[-1].name)
        elif self._average is not None:
            self._average.update(trained)
        self._check_room(trained)
        self._ready, self._optimiser = self.engine.prepare(self.model, self._optimiser)

    def _check_room(self, trained: Mapping[str, Tensor]) -> None:
        run, optimizer = self.settings.run, self.settings.optimizer
        left = run.steps - self.step
        if left <= 0:
            return
        kept = STATE_BYTES[optimizer.name] + (AVERAGE_BYTES if optimizer.ema else 0)
        size = sum(tensor.nbytes + tensor.numel() * kept for tensor in trained.values())
        to_come = -(-left // run.save_every) if run.save_every else 1
        check_room_for_run(self.root / STATES, size, keep=run.keep_last, to_come=to_come)

    def _restore(self, state: RunState, what: str) -> None:
        changed = differences(state.facts["identity"], self.identity)
        if changed:
            raise InputError(
                f"The run {self.settings.run.name} was begun with other settings or data: {'; '.join(changed)}; set "
                "them back to resume it, or choose another name."
            )
        self.model.restore(state.tensors["trained"], what)
        restore_optimiser(self._optimiser, state.tensors["optimiser"], state.facts["optimiser"])
        if self._average is not None:
            self._average.restore(state.tensors["average"])
        self.step = self._saved_at = state.step
        log.info("Resuming after step %d", self.step)

    def _loop(self, curves: CurveLog | None) -> None:
        run = self.settings.run
        while self.step < run.steps:
            begun = time.monotonic()
            values = self._one_step()
            self.step += 1
            if _due(self.step, run.validate_every) and self.held_out:
                values["validation"] = self._validate()
            values |= {"seconds": time.monotonic() - begun, "memory_gb": _peak_memory(self.engine.device)}
            if curves is not None:
                curves.add(self.step, values)
            self.hooks.after_step(self.step, values)
            if _due(self.step, run.save_every):
                self._save()
            if _due(self.step, run.sample_every) and self.hooks.make_sample is not None and self._main:
                self._optimiser.zero_grad(set_to_none=True)  # the last step's gradients are of no use any more
                with averaged_weights(self._optimiser):
                    self.hooks.make_sample(self.step)

    def _one_step(self) -> dict[str, float | None]:
        """All samples of one optimiser step."""
        settings, engine = self.settings, self.engine
        rate = learning_rate_at(settings.optimizer, self.step, settings.run.steps)
        set_learning_rate(self._optimiser, rate)
        self._optimiser.zero_grad(set_to_none=True)
        values = engine.mean(_means(self._forward_and_back(visibility_at(settings.hoi, self.step))))
        if not math.isfinite(values["loss"] or 0.0):
            raise InputError(
                f"The loss of step {self.step + 1} is {values['loss']}, but a number is expected; resume with a lower "
                "learning_rate under another name, or look at the rows of this step."
            )
        values["learning_rate"] = rate
        length = engine.clip(self._trained.values(), settings.optimizer.clip_norm)
        if self._usable(length):
            values["gradient_norm"] = length
            self._optimiser.step()
            if self._average is not None:
                self._average.update(self._trained, self.step)
        return values

    def _forward_and_back(self, visibility: str) -> list[dict[str, float | None]]:
        """Add the gradients of all samples of this process, batch by batch, and give their losses."""
        optimizer = self.settings.optimizer
        found: list[dict[str, float | None]] = []
        for batch in range(optimizer.accumulation):
            groups = self._batch(batch, visibility)
            for number, given in enumerate(groups, 1):
                last = batch + 1 == optimizer.accumulation and number == len(groups)
                with self.engine.collecting(self._ready, last=last):
                    losses: list[StepLosses] = self._ready(given, self.settings.loss, self.hooks.recompute)
                    total = losses[0].total if len(losses) == 1 else torch.stack([one.total for one in losses]).sum()
                    self.engine.backward(total / optimizer.samples)
                found += [one.values() for one in losses]
        return found

    def _batch(self, batch: int, visibility: str) -> list[StepInputs]:
        """The samples of one batch, those of one form together."""
        optimizer, engine, run = self.settings.optimizer, self.engine, self.settings.run
        turns = Turns(self.samples, self.settings.sampling, run.seed)
        first = self.step * optimizer.samples + batch * optimizer.batch_size
        numbers = [number * engine.processes + engine.rank for number in range(first, first + optimizer.batch_size)]
        taken = (turns.take(number, visibility) for number in numbers)
        return groups_of([step_inputs(sample, drawn, visibility, self.hooks.to_model) for sample, drawn in taken])

    def _usable(self, length: float) -> bool:
        """Whether a gradient may be stepped on: one that is no number anywhere would make all weights none.

        Raises:
            InputError: none was for a while.
        """
        if math.isfinite(length):
            self._skipped_in_a_row = 0
            return True
        self._skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row == BAD_GRADIENTS:
            raise InputError(
                f"The gradient of step {self.step + 1} and of the {BAD_GRADIENTS - 1} before it is {length}, but a "
                "number is expected; start again with a lower learning_rate under another name, or "
                "look at the rows of these steps."
            )
        if self._skipped == 1:
            log.warning("The gradient of step %d is %s: such steps change nothing", self.step + 1, length)
        return False

    def _validate(self) -> float:
        with averaged_weights(self._optimiser):
            size = self.settings.optimizer.batch_size
            return validation_loss(self.model.dit, self.held_out, self.settings.loss, self.hooks.to_model, size)

    def _save_if_possible(self) -> None:
        """At the end: where there is no room for the state, what was learnt still makes an adapter."""
        try:
            self._save()
        except InputError as error:
            log.warning("%s", error)

    def _save(self) -> None:
        """Write the state of the last whole step, once."""
        if not self._main or self._saved_at == self.step:
            return
        tensors, facts = optimiser_tensors(self._optimiser)
        average = {} if self._average is None else self._average.tensors()
        groups: dict[str, dict[str, Tensor]] = {"trained": dict(self._trained)}
        groups |= {"optimiser": tensors, "average": average}
        state = RunState(self.step, groups, {"identity": self.identity, "optimiser": facts})
        save_state(self.root / STATES, state, self.settings.run.keep_last)
        self._saved_at = self.step


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _means(seen: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Each value's mean over the samples that have one."""
    means: dict[str, float | None] = {}
    for name in seen[0]:
        known = [value for values in seen if (value := values[name]) is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def _peak_memory(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
