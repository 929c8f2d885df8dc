"""For the demo and the tests only: let the host's own Load CLIP read a small umT5.

The host keeps the encoder's sizes in a file of its own. `comfy.sd.load_clip` takes others in its model options, but
the node offers no way to set them, so they are read from a JSON file beside the model file. Files without one are
loaded as ever.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import comfy.sd

NODE_CLASS_MAPPINGS: dict[str, type] = {}
_load_clip = comfy.sd.load_clip


@functools.wraps(_load_clip)
def _load_sized_clip(ckpt_paths: list[str], *args: Any, model_options: dict[str, Any] | None = None, **kw: Any) -> Any:
    options = dict(model_options or {})
    sizes = Path(ckpt_paths[0]).with_suffix(".json")
    if sizes.is_file():
        options["umt5xxl_model_config"] = json.loads(sizes.read_text(encoding="utf-8"))
    return _load_clip(ckpt_paths, *args, model_options=options, **kw)


comfy.sd.load_clip = _load_sized_clip
