"""Look at what a model computed, so that no run goes on with what is not a number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import ResultError
from ..finite import all_finite

ONE_COLOUR = 1 / 255  # a step of 8 bits; a clip whose pixels differ by less shows nothing


def check_finite(tensor: Tensor, what: str) -> None:
    """Refuse NaN and infinity; one reduction, whose answer is waited for.

    Raises:
        ResultError: there are some.
    """
    if not all_finite(tensor):
        raise _not_finite(what)


class StepWatch:
    """Looks at the latents of every step without waiting for the device.

    A step's sum is copied to the host beside the work that follows, and read when a later step is done: by then it has
    arrived.  So a run ends at most one step late, and no step waits.
    """

    def __init__(self) -> None:
        self._unread: list[tuple[int, Tensor, torch.cuda.Event | None]] = []

    def look(self, step: int, latents: Tensor) -> None:
        """Take a step's latents, and judge those before it that have arrived.

        Args:
            step: counted from 1.

        Raises:
            ResultError: NaN or infinity.
        """
        total = latents.detach().sum(dtype=torch.float32)
        arrived: torch.cuda.Event | None = None
        if total.is_cuda:
            total = total.to("cpu", non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(torch.cuda.current_stream(latents.device))
        self._unread.append((step, total, arrived))
        self.judge(wait=total.device.type == "cpu" and arrived is None)

    def judge(self, *, wait: bool = True) -> None:
        """Judge what was taken.

        Args:
            wait: also for what has not arrived yet.

        Raises:
            ResultError: NaN or infinity.
        """
        while self._unread:
            step, total, arrived = self._unread[0]
            if not wait and (arrived is None or not arrived.query()):
                return
            if arrived is not None:
                arrived.synchronize()
            del self._unread[0]
            if not math.isfinite(float(total)):
                raise _not_finite(f"the latents after step {step}")


def one_colour(frames: Tensor) -> bool:
    """Whether frames `[N, H, W, 3]` are one and the same colour from the first pixel to the last."""
    flat = frames.reshape(-1, frames.shape[-1])
    return bool(((flat.amax(dim=0) - flat.amin(dim=0)) < ONE_COLOUR).all())


def _not_finite(what: str) -> ResultError:
    return ResultError(f"{what} hold values that are not numbers (NaN or infinity)")
