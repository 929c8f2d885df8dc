"""The host symbols this pack touches.

Touch points, each with a test in ``tests/host``: `comfy.ldm.wan.model.WanModel_S2V` (constructor, sub-modules,
`_forward`, `unpatchify`), `optimized_attention`, `comfy.model_base.WAN22_S2V`, `comfy.supported_models`,
`comfy.sd.load_diffusion_model_state_dict`, `comfy.lora`, `comfy.samplers`, `comfy.sample`, `latent_preview`,
`comfy.utils.ProgressBar`, `folder_paths`, `comfy_api.latest`.
"""

from __future__ import annotations

from typing import Any

import comfy.ops


def extras_operations(operations: Any) -> Any:
    """Layer classes for our extras.

    The host's fp8 layers round whatever they hold, so beside a backbone of the host's own making the extras use
    `manual_cast` and stay bit-exact; layers a third party supplied (GGUF) are used as they are.
    """
    if getattr(operations, "__module__", "").startswith("comfy.") or operations is None:
        return comfy.ops.manual_cast
    return operations
