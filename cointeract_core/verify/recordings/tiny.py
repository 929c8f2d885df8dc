"""Build the tiny models of a golden file from its configuration and weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...checkpoint.keys import EXPERT_WIDTH_KEY, HOI_KEY, to_ours
from ...host.model.standalone import plain_dit, plain_patcher, plain_vae, prepare
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


def build_vae_module(golden: Golden) -> Any:
    """The host's VAE class in the size and with the weights of a file such as `vae_tiny`."""
    prepare()
    module = plain_vae(golden.info["config"])
    module.load_state_dict({key: value.float() for key, value in golden.group("w.").items()})
    return module


def build_vae(golden: Golden) -> TinyVae:
    """The VAE of a file such as `vae_tiny`."""
    return TinyVae(build_vae_module(golden))


def dit_weights(golden: Golden) -> dict[str, Tensor]:
    """Weights under our names, in float32 (they are stored in half precision, exactly)."""
    return {to_ours(key): value.float() for key, value in golden.group("w.").items()}


def dit_settings(golden: Golden) -> dict[str, Any]:
    """Arguments of the host's constructor for a file's configuration."""
    config = {key: value for key, value in golden.info["config"].items() if key not in ("eps", "patch_size")}
    return {"model_type": "s2v", **config, "eps": golden.info["config"].get("eps", 1e-6)}


def build_dit(golden: Golden) -> Any:
    """The transformer of a file in float32, with the extras its weights hold."""
    prepare()
    weights = dit_weights(golden)
    width = weights.get(EXPERT_WIDTH_KEY)
    hidden = 0 if width is None else width.shape[0]
    dit = plain_dit(dit_settings(golden), expert_hidden=hidden, hoi_stream=HOI_KEY in weights)
    dit.load_state_dict(weights)
    return dit


def build_patcher(golden: Golden, dtype: torch.dtype = torch.float32) -> Any:
    """A host model around a file's transformer."""
    prepare()
    weights = {name: tensor.to(dtype) for name, tensor in dit_weights(golden).items()}
    patcher = plain_patcher(dit_settings(golden), weights, dtype)
    patcher.model.diffusion_model.load_state_dict(weights)
    return patcher
