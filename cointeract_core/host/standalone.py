"""Use the host's modules without its server: for verification, benchmarks and the training command."""

from __future__ import annotations

import torch


def prepare(cpu: bool | None = None) -> None:
    """Settle the host's device before its model management is imported.

    Args:
        cpu: keep everything on the CPU; None decides by whether a GPU is there.
    """
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available() if cpu is None else cpu
