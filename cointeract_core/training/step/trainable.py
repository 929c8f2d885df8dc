"""The transformer with everything that is trained beside it, under the names it is saved by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ...checkpoint.keys import EXPERTS, HOI
from ...errors import CheckpointKeysError, name_some
from ...model.forward import Recompute
from ..settings.sections import LossSettings
from .lora import LoraSet, is_target
from .sample import TrainingSample
from .step import Draw, StepLosses, step_losses
from .transformer import Transformer

DIT = "dit."


class TrainableModel(nn.Module):
    """A frozen transformer, LoRA beside it, and its own parts that are trained whole.

    Args:
        dit: the transformer; experts and HOI stream, where they are trained, are made float32.
        lora: attached to `dit` by the caller.
        targets: groups of layers whose LoRA is trained; that of other layers stays as it is.
        experts: train router and experts.
        hoi: train the HOI stream's parts.
    """

    def __init__(self, dit: Transformer, lora: LoraSet, *, targets: Sequence[str], experts: bool, hoi: bool) -> None:
        super().__init__()
        self.dit, self.lora = dit, lora
        dit.requires_grad_(False)
        for part, trained in ((dit.experts, experts), (dit.hoi, hoi)):
            if part is not None and trained:
                part.float().requires_grad_(True)
        for name, layer in lora.named_layers():
            layer.requires_grad_(is_target(name, targets))

    def forward(
        self,
        sample: TrainingSample,
        drawn: Draw,
        loss: LossSettings,
        visibility: str,
        to_model: Callable[[Tensor], Tensor],
        recompute: Recompute | None,
    ) -> StepLosses:
        """One sample's losses; see `step_losses`."""
        return step_losses(self.dit, sample, drawn, loss, visibility=visibility, to_model=to_model, recompute=recompute)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Every parameter that is trained, by the name it is saved under."""
        return {name: tensor for name, tensor in self._parts().items() if tensor.requires_grad}

    def adapter(self) -> dict[str, Tensor]:
        """Everything an adapter consists of, also what is not trained: LoRA, router, experts, HOI stream."""
        return {name: tensor.detach() for name, tensor in self._parts().items()}

    def restore(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Put saved values of `trainable` back.

        Raises:
            CheckpointKeysError: names or shapes that are not those of this run.
        """
        own = self.trainable()
        wrong = own.keys() ^ tensors.keys() or {name for name in own if own[name].shape != tensors[name].shape}
        if wrong:
            raise CheckpointKeysError(
                f"{what} does not hold the tensors this run trains ({name_some(wrong)}), but exactly those were "
                "expected; start the run under another name."
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[name])

    def _parts(self) -> dict[str, nn.Parameter]:
        extras = {name: parameter for name, parameter in self.dit.named_parameters() if name.startswith((EXPERTS, HOI))}
        return {**dict(self.lora.named_tensors()), **extras}
