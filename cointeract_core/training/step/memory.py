"""Memory modes: the same gradients in less memory of the card, named by the card each is meant for.

Four means, none of which changes a bit of a gradient: blocks are run again in the backward pass instead of kept, and
within a block its attention and its feed-forward once more, so that never both are kept; what stands between blocks
waits in the CPU's memory; frozen weights of some blocks stay there too and come over when they are used; so do the
trained parameters, whose gradients then arrive on the CPU layer by layer and are stepped on there.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...errors import InputError
from ...model.block import RouterAnswer, Tokens
from ...model.experts import LendWeights
from ...model.forward import Recompute
from ..settings.memory_modes import RECIPES, Recipe
from .pinned import Aside, PinnedMemory
from .streaming import StreamedBlocks
from .trainable import TrainableModel


class Memory:
    """A mode at work on a model.

    Args:
        model: with its weights anywhere.
        lend: lends weight and bias of a frozen layer as its own forward would use them.
    """

    def __init__(self, recipe: Recipe, device: torch.device, model: TrainableModel, lend: LendWeights) -> None:
        self.recipe, self.device = recipe, device
        self._model = model
        blocks = model.dit.blocks
        # of a model that is trained whole no block is frozen: its weights lie with all that is trained
        self._resident = len(blocks) if model.whole else round(len(blocks) * recipe.resident)
        self._pinned = PinnedMemory(device)
        self._streamed = StreamedBlocks(blocks[self._resident :], self._pinned, lend)

    @property
    def recompute(self) -> Recompute | None:
        """How the forward runs blocks; see `model.forward.forward`."""
        return self if self.recipe.recompute else None

    def place(self) -> None:
        """Put everything where it belongs, also after the host has moved the model to make a video."""
        dit, blocks = self._model.dit, self._model.dit.blocks
        trained = self.device if self.recipe.trained_on_device else torch.device("cpu")
        backbone = trained if self._model.whole else self.device
        self._streamed.place()
        for block in blocks[: self._resident]:
            block.to(backbone)
        for name, child in dit.named_children():
            if name not in ("blocks", "cointeract"):
                child.to(backbone)
        for own in dit.parameters(recurse=False):
            own.data = own.data.to(backbone)
        for part in (dit.cointeract, self._model.lora):
            part.to(trained)

    def block(self, tokens: Tokens, step: Callable[[Tokens], RouterAnswer]) -> RouterAnswer:
        """Run a block now and again in the backward pass; what stands between blocks may wait on the CPU."""

        def run(main: Tensor, hoi: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
            inner = Tokens(main, hoi)
            answer = step(inner)
            return inner.main, inner.hoi, answer.logits

        with self._keeping():
            tokens.main, tokens.hoi, logits = self.part(run, tokens.main, tokens.hoi)
        return RouterAnswer(logits)

    def part(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run attention or the feed-forward a third time, so that only one of them is kept at once."""
        # nothing in a block is random
        return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)

    def _keeping(self) -> AbstractContextManager[None]:
        return Aside(self._pinned) if self.recipe.offload else nullcontext()

    def leave(
        self, _kind: type[BaseException] | None, _error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of every frozen weight, wherever it lies; nothing is copied."""
        if trace is not None:
            traceback.clear_frames(trace)  # those of a step that was cut hold everything it kept
        self._streamed.close()
        for module in self._model.dit.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad:
                    module._parameters[name] = nn.Parameter(torch.empty(0), requires_grad=False)
        self._pinned.close()


@contextmanager
def memory_mode(
    model: TrainableModel, mode: str, device: torch.device, lend: LendWeights, processes: int = 1
) -> Iterator[Memory]:
    """Train `model` in a mode for as long as the context lasts; afterwards its frozen weights are gone.

    Args:
        mode: one of `RECIPES`.
        device: that computes.
        lend: see `Memory`.
        processes: that train together.

    Raises:
        InputError: a mode that several processes cannot share.
    """
    recipe = RECIPES[mode]
    if processes > 1 and not recipe.trained_on_device:
        raise InputError(
            f"memory.mode is {mode}, but {processes} processes train together, which exchange gradients on the device; "
            "use 48gb or 80gb, or one process."
        )
    memory = Memory(recipe, device, model, lend)
    with ExitStack() as stack:
        stack.push(memory.leave)
        memory.place()
        yield memory
