"""What tests of sampling share: a small model with experts, its settings, and a clip sampled as the nodes do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.patcher_extension import WrappersMP

from cointeract_pack.cointeract_core.host.model.clip_cache import WRAPPER_KEY
from cointeract_pack.cointeract_core.host.model.dit import KERNELS
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.cointeract_core.host.video.conditions import ClipConditions
from cointeract_pack.cointeract_core.host.video.sampling import (
    PUBLISHED_SCHEDULE,
    SampleSettings,
    make_sigmas,
    sample_clip,
    with_shift,
)
from cointeract_pack.cointeract_core.verify.recordings.golden import read_golden
from cointeract_pack.cointeract_core.verify.recordings.tiny import build_patcher

GOLDEN = Path(__file__).resolve().parents[1] / "parity" / "golden" / "dit" / "dit_moe.safetensors"
SETTINGS = SampleSettings(seed=3, steps=4, cfg=3.0, shift=7.0, sampler="euler", scheduler=PUBLISHED_SCHEDULE)
# PyTorch's attention, the host's choice on a GPU; the one it chooses on a CPU asks the system for free memory
GPU_KERNELS = replace(KERNELS, attention=attention_pytorch)
# a device of another name, so that the host takes loading for a move; its memory is the same
ELSEWHERE = torch.device("cpu:0")


def small_patcher(dtype: torch.dtype = torch.float32) -> Any:
    """The model of the golden file."""
    return build_patcher(read_golden(GOLDEN), dtype)


def elsewhere(patcher: Any) -> Any:
    """The same model loaded to another device than it rests on, as on a machine with a GPU."""
    moved = patcher.clone()
    moved.load_device = ELSEWHERE
    return moved


def apart(patcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the host run the passes of guidance one after the other, as where its estimate exceeds the free memory."""
    monkeypatch.setattr(type(patcher.model), "memory_required", lambda *_arguments, **_named: 1e30)


def without_cache(patcher: Any) -> None:
    """Let a prepared MODEL compute everything in every pass."""
    patcher.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY)


def sample(
    patcher: Any,
    conditions: ClipConditions,
    settings: SampleSettings = SETTINGS,
    change: Callable[[Any], Any] = lambda _patcher: None,
) -> torch.Tensor:
    """Latents of a clip.

    Args:
        change: of the clone that is sampled.
    """
    shifted = with_shift(prepared(patcher), settings.shift)
    change(shifted)
    return sample_clip(shifted, conditions, settings, make_sigmas(shifted, settings), settings.seed)
