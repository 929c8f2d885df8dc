"""Constants of a clip kept for one sampling run, and no longer.

A run begins with an empty cache (an outer-sample wrapper puts one into the run's own transformer options), so a new
prompt, size, clip or LoRA strength can never meet old values.  Within a run the host names each conditioning by a
uuid; the batch's uuids and the latent's shape are the key, so cond and uncond may come in one batch or in two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..model.inputs import ClipConstants

OPTION = "cointeract_clip_cache"
WRAPPER_KEY = "cointeract"


class ClipCache:
    """Clip constants by conditioning."""

    def __init__(self) -> None:
        self._kept: dict[tuple, ClipConstants] = {}

    def get(self, key: tuple, build: Callable[[], ClipConstants]) -> ClipConstants:
        """The constants under `key`, built on first use."""
        if key not in self._kept:
            self._kept[key] = build()
        return self._kept[key]


def constants_for(options: dict[str, Any], latents: Tensor, build: Callable[[], ClipConstants]) -> ClipConstants:
    """Constants of the clip in hand, from the run's cache where that is safe."""
    cache, uuids = options.get(OPTION), options.get("uuids")
    if cache is None or not uuids or options.get("context_window") is not None:
        return build()  # a window changes what one uuid stands for
    return cache.get((tuple(uuids), tuple(latents.shape), latents.dtype, latents.device), build)


def cache_per_run(patcher: Any) -> None:
    """Give every sampling run of `patcher` a cache of its own that ends with the run."""

    def run_with_cache(executor: Any, *args: Any, **kwargs: Any) -> Any:
        options = executor.class_obj.model_options.setdefault("transformer_options", {})
        options[OPTION] = ClipCache()
        try:
            return executor(*args, **kwargs)
        finally:
            options.pop(OPTION, None)

    patcher.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY)
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY, run_with_cache)
