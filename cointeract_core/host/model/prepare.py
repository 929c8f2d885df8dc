"""A MODEL made ready for our runs: it parks what only makes constants, and each run of it has a cache of its own.

MODELs come from our loader, from ComfyUI's own, and out of nodes that clone them or make a patcher of their own kind.
Our loader prepares what it loads; who samples prepares what arrives.
"""

from __future__ import annotations

from ..objects import Patcher
from .clip_cache import cache_per_run, has_run_cache
from .parking import has_additions, with_additions


def prepared(patcher: Patcher) -> Patcher:
    """The patcher itself where it is prepared, else a clone that is; clones of a prepared one are so too."""
    if has_additions(patcher) and has_run_cache(patcher):
        return patcher
    ready = with_additions(patcher.clone())
    cache_per_run(ready)
    return ready
