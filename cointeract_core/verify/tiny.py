"""Build the tiny models of a golden file from its configuration and weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..checkpoint.keys import to_ours
from ..host.standalone import prepare
from .golden import Golden


class TinyVae:
    """The host's causal VAE in the file's size, with the range conventions of the host's VAE object."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def encode(self, frames: Tensor) -> Tensor:
        """Frames `[F, H, W, 3]` in 0-1 to latents."""
        with torch.inference_mode():
            return self._module.encode(frames.permute(3, 0, 1, 2)[None] * 2.0 - 1.0)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to frames `[F, H, W, 3]` in 0-1."""
        with torch.inference_mode():
            return ((self._module.decode(latents) + 1.0) / 2.0).clamp(0.0, 1.0)[0].permute(1, 2, 3, 0)


def build_vae(golden: Golden) -> TinyVae:
    """The VAE of a file such as `vae_tiny`."""
    prepare()
    from comfy.ldm.wan.vae import WanVAE

    module = WanVAE(**golden.info["config"])
    module.load_state_dict({key: value.float() for key, value in golden.group("w.").items()})
    return TinyVae(module.eval())


def dit_weights(golden: Golden) -> dict[str, Tensor]:
    """Weights under our names, in float32 (they are stored in half precision, exactly)."""
    return {to_ours(key): value.float() for key, value in golden.group("w.").items()}


def dit_settings(golden: Golden) -> dict[str, Any]:
    """Arguments of the host's constructor for a file's configuration."""
    config = {key: value for key, value in golden.info["config"].items() if key not in ("eps", "patch_size")}
    return {"model_type": "s2v", **config, "eps": golden.info["config"].get("eps", 1e-6)}


def build_patcher(golden: Golden) -> Any:
    """A host model around a file's transformer, built the way the host's loaders build it."""
    prepare()
    import comfy.model_patcher

    from ..host.registration import CoInteractConfig

    weights = dit_weights(golden)
    config = CoInteractConfig({"image_model": "wan2.1", **dit_settings(golden)})
    config.set_inference_dtype(torch.float32, torch.float32)
    model = config.get_model(weights)
    missing, unexpected = model.diffusion_model.load_state_dict(weights, strict=True)
    model.eval()
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)
