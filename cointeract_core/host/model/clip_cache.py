"""Constants of a clip kept for one sampling run, and no longer.

A run begins with an empty cache (an outer-sample wrapper puts one into the run's own transformer options), so a new
prompt, size, clip or LoRA strength can never meet old values.  Within a run the host names each conditioning by a
uuid; the batch's uuids and the latent's shape are the key, so cond and uncond may come in one batch or in two.  What
two conditionings have in common is kept once, which also tells the forward what their passes share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TypeAlias, TypeVar

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...model.inputs import ClipConstants, SceneConstants
from ...model.parts import Options
from ...model.reuse import StepReuse
from ..objects import Executor, Guider, Patcher
from .context_windows import check_handler

OPTION = "cointeract_clip_cache"
WRAPPER_KEY = "cointeract"
ClipKey: TypeAlias = tuple[object, ...]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., object])


def outside_graphs(function: AnyFunction) -> AnyFunction:
    """Have PyTorch run a function as it stands, also inside what it compiles."""
    left_alone: AnyFunction = torch.compiler.disable(function)
    return left_alone


class ClipCache:
    """Clip constants by conditioning, and what the passes of the newest step share."""

    def __init__(self) -> None:
        self.step = StepReuse()
        self._kept: dict[ClipKey, ClipConstants] = {}

    def get(self, key: ClipKey, build: Callable[[], ClipConstants]) -> ClipConstants:
        """The constants under `key`, built on first use."""
        constants = self._kept.get(key)  # by name, as another thread may free what is kept
        if constants is None:
            constants = self._kept[key] = self._with_known_scene(build())
            self.step.several = len(self._kept) > 1
        return constants

    def free(self) -> int:
        """Forget everything; the next forward computes it anew.

        Returns:
            bytes let go.
        """
        freed = sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors_in(list(self._kept.values()))}.values())
        freed += self.step.free()
        self._kept.clear()
        return freed

    def _with_known_scene(self, constants: ClipConstants) -> ClipConstants:
        known = [kept.scene for kept in self._kept.values() if _same(kept.scene, constants.scene)]
        return replace(constants, scene=known[0]) if known else constants


class RunCache:
    """The caches of a run: one for each thread that runs passes.

    A host with several GPUs runs the passes of a step side by side, each in its GPU's thread; those share nothing.
    """

    def __init__(self) -> None:
        self._of_threads: dict[int, ClipCache] = {}

    @outside_graphs  # which thread this is, a graph cannot know
    def here(self) -> ClipCache:
        """The cache of the thread that asks."""
        return self._of_threads.setdefault(threading.get_ident(), ClipCache())

    def alone(self) -> None:
        """From here on a step has one pass."""
        for cache in list(self._of_threads.values()):
            cache.step.alone()

    def free(self) -> int:
        """Forget everything; bytes let go."""
        return sum(cache.free() for cache in list(self._of_threads.values()))


def tensors_in(value: object) -> list[Tensor]:
    """Every tensor in nested constants."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return tensors_in([getattr(value, field.name) for field in fields(value)])
    return []


def _same(one: SceneConstants, other: SceneConstants) -> bool:
    """Whether two conditionings have the same pictures at the same places, bit by bit."""
    if one.layout.target != other.layout.target or one.layout.main != other.layout.main:
        return False
    pairs = [
        (one.target_offset, other.target_offset),
        (one.condition_tokens, other.condition_tokens),
        (one.main_rotation.turn, other.main_rotation.turn),
    ]
    return all(_equal(*pair) for pair in pairs)


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def constants_for(
    options: Options, latents: Tensor, build: Callable[[], ClipConstants]
) -> tuple[ClipConstants, StepReuse | None]:
    """Constants of the clip in hand from the run's cache, and what the step's passes share, where that is safe."""
    run, uuids = options.get(OPTION), options.get("uuids")
    if run is None or not uuids or options.get("context_window") is not None:
        return build(), None  # a window changes what one uuid stands for
    cache = run.here()
    return cache.get((tuple(uuids), tuple(latents.shape), latents.dtype, latents.device), build), cache.step


def has_run_cache(patcher: Patcher) -> bool:
    """Whether the sampling runs of `patcher` have a cache, by this very code: a pack that was reloaded has another."""
    return patcher.get_wrappers(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY) == [_run_with_cache]


def cache_per_run(patcher: Patcher) -> None:
    """Give every sampling run of `patcher` a cache of its own that ends with the run."""
    patcher.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY)
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY, _run_with_cache)


def _run_with_cache(executor: Executor, *args: object, **kwargs: object) -> Tensor:
    guider = executor.class_obj
    check_handler(guider.model_options)
    options = guider.model_options.setdefault("transformer_options", {})
    if _weights_change(guider):
        return executor(*args, **kwargs)
    options[OPTION] = guider.model_patcher.run_cache = RunCache()
    try:
        return executor(*args, **kwargs)
    finally:
        guider.model_patcher.run_cache = None
        options.pop(OPTION, None)


def _weights_change(guider: Guider) -> bool:
    """Whether weights change between passes or steps: the host's hook nodes can give each conditioning its LoRA."""
    conditionings = [cond for conds in guider.conds.values() for cond in conds]
    return guider.model_patcher.forced_hooks is not None or any(cond.get("hooks") for cond in conditionings)
