"""A running average of what is trained; it often makes better videos than the last step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import InputError

BEGIN = 9  # steps by which the average is younger than the run; a tenth of what has passed is remembered then


class AdapterEma:
    """Exponential moving average, kept in float32 on the CPU.

    Args:
        decay: share of the average each update keeps, of late; early ones keep less, or a run of a thousand steps would
            end with a third of the values it began with.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._average: dict[str, Tensor] = {}

    def update(self, parameters: Mapping[str, Tensor], step: int | None = None) -> None:
        """Take a step's values in; the first ones are taken as they are.

        Args:
            step: steps of the run before this one; None where it is long.
        """
        new = 1.0 - (self._decay if step is None else min(self._decay, (1 + step) / (1 + step + BEGIN)))
        near: tuple[list[Tensor], list[Tensor]] = ([], [])  # averages and values that are on the CPU already
        with torch.no_grad():
            for name, parameter in parameters.items():
                value = parameter.detach().float().cpu()
                if name not in self._average:
                    self._average[name] = value.clone()
                elif value.data_ptr() == parameter.data_ptr():
                    near[0].append(self._average[name])
                    near[1].append(value)
                else:  # one by one, so that only one copy is there
                    self._average[name].lerp_(value, new)
            if near[0]:  # in one call, for a small model has hundreds of small tensors
                torch._foreach_lerp_(*near, new)

    def tensors(self) -> dict[str, Tensor]:
        """The average, by name."""
        return dict(self._average)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put a saved average back.

        Raises:
            InputError: there is none.
        """
        if not tensors:
            raise InputError(
                "The saved state holds no running average, but this run keeps one; remove that state to resume from "
                "the one before it."
            )
        self._average = {name: tensor.clone() for name, tensor in tensors.items()}
