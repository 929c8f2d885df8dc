"""What training needs of the transformer, for readers and type checkers; `host/model/dit.py` makes it.

Nothing is compared with this while the pack runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from ...model.forward import Recompute
from ...model.inputs import ClipInputs, DitOutput, HoiInputs


class Transformer(Protocol):
    """A `torch.nn.Module` with blocks, and with parts of its own under `cointeract`."""

    blocks: nn.ModuleList
    cointeract: nn.Module

    @property
    def experts(self) -> nn.ModuleList | None:
        """Experts per block, or None where there are none."""

    @property
    def hoi(self) -> nn.Module | None:
        """The HOI stream, or None."""

    def predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        clip: ClipInputs,
        *,
        hoi: HoiInputs | None = None,
        want_logits: bool = False,
        recompute: Recompute | None = None,
        learning: bool = False,
    ) -> DitOutput:
        """One whole forward from conditions."""

    def requires_grad_(self, requires_grad: bool = True) -> object:
        """As of any module; so are all below."""

    def float(self) -> object:
        """Make every parameter float32."""

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor by name."""

    def get_submodule(self, target: str) -> nn.Module:
        """By its name."""

    def modules(self) -> Iterator[nn.Module]:
        """All of them, this one too."""

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """All of them."""

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """Those directly below."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """All of them, or its own."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All of them."""
