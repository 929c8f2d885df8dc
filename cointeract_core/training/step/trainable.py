"""The transformer with everything that is trained beside it, under the names it is saved by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...checkpoint.keys import EXPERTS, HOI
from ...errors import CheckpointKeysError, name_some
from ...model.forward import Recompute
from ..settings.sections import LossSettings
from .lora import LoraSet, is_target
from .step import StepInputs, StepLosses, losses_of
from .transformer import Transformer

DIT = "dit."


class TrainableModel(nn.Module):
    """A frozen transformer, LoRA beside it, and its own parts that are trained whole; or all of it trained.

    Args:
        dit: the transformer; what of it is trained is made float32.
        lora: attached to `dit` by the caller.
        targets: groups of layers whose LoRA is trained; that of other layers stays as it is.
        experts: train router and experts.
        hoi: train the HOI stream's parts.
        whole: train every parameter of the backbone too; then `lora` has no layers.
    """

    def __init__(
        self,
        dit: Transformer,
        lora: LoraSet,
        *,
        targets: Sequence[str],
        experts: bool,
        hoi: bool,
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.dit, self.lora, self.whole = dit, lora, whole
        dit.requires_grad_(whole)
        if whole:
            dit.float()
        for part, trained in ((dit.experts, experts), (dit.hoi, hoi)):
            if part is not None:
                (part.float() if trained else part).requires_grad_(trained)
        for name, layer in lora.named_layers():
            layer.requires_grad_(is_target(name, targets))

    def forward(self, given: StepInputs, loss: LossSettings, recompute: Recompute | None) -> list[StepLosses]:
        """Losses of each sample; see `losses_of`."""
        return losses_of(self.dit, given, loss, recompute)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Every parameter that is trained, by the name it is saved under."""
        return {name: tensor for name, tensor in self._parts().items() if tensor.requires_grad}

    def adapter(self) -> dict[str, Tensor]:
        """Everything an adapter consists of, also what is not trained: LoRA, router, experts, HOI stream.

        Of a model that is trained whole, all of it.
        """
        parts = self.dit.state_dict() if self.whole else self._parts()
        return {name: tensor.detach() for name, tensor in parts.items()}

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
        own = dict(self.dit.named_parameters())
        extras = own if self.whole else {name: own[name] for name in own if name.startswith((EXPERTS, HOI))}
        return {**dict(self.lora.named_tensors()), **extras}
