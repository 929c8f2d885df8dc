"""Build the tiny models of a golden file from its configuration and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor

from ...checkpoint.keys import EXPERT_WIDTH_KEY, HOI_KEY, to_ours
from ...host.model.standalone import plain_dit, plain_patcher, plain_vae, settle_device
from ...host.objects import Patcher, UnetConfig
from .golden import Golden

if TYPE_CHECKING:
    from ...host.model.dit import CoInteractDiT


class VaeModule(Protocol):
    """`comfy.ldm.wan.vae.WanVAE`: between videos `[1, C, frames, H, W]` in -1 to 1 and latents."""

    def encode(self, x: Tensor) -> Tensor:
        """A video to latents."""

    def decode(self, z: Tensor) -> Tensor:
        """Latents to a video, not clamped."""


class TinyVae:
    """The host's causal VAE in the file's size, with the range conventions of the host's VAE object."""

    def __init__(self, module: VaeModule) -> None:
        self._module = module

    def encode(self, frames: Tensor) -> Tensor:
        """Frames `[frames, H, W, 3]` in 0-1 to latents."""
        with torch.inference_mode():
            return self._module.encode(to_vae_range(frames))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to frames `[frames, H, W, 3]` in 0-1."""
        with torch.inference_mode():
            return from_vae_range(self._module.decode(latents))


def to_vae_range(frames: Tensor) -> Tensor:
    """Frames `[frames, H, W, C]` in 0-1 to the VAE's `[1, C, frames, H, W]` in -1 to 1."""
    return frames.permute(3, 0, 1, 2)[None] * 2.0 - 1.0


def from_vae_range(video: Tensor) -> Tensor:
    """The VAE's `[1, C, frames, H, W]` in -1 to 1 (clamped) to frames `[frames, H, W, C]` in 0-1."""
    return ((video + 1.0) / 2.0).clamp(0.0, 1.0)[0].permute(1, 2, 3, 0)


def build_vae_module(golden: Golden) -> VaeModule:
    """The host's VAE class in the size and with the weights of a file such as `vae_tiny`."""
    settle_device()
    module = plain_vae(golden.info["config"])
    module.load_state_dict({key: value.float() for key, value in golden.group("w.").items()})
    return cast(VaeModule, module)


def build_vae(golden: Golden) -> TinyVae:
    """The VAE of a file such as `vae_tiny`."""
    return TinyVae(build_vae_module(golden))


def dit_weights(golden: Golden) -> dict[str, Tensor]:
    """Weights under our names, in float32 (they are stored in half precision, exactly)."""
    return {to_ours(key): value.float() for key, value in golden.group("w.").items()}


def dit_settings(golden: Golden) -> UnetConfig:
    """Arguments of the host's constructor for a file's configuration."""
    config = {key: value for key, value in golden.info["config"].items() if key not in ("eps", "patch_size")}
    return {"model_type": "s2v", **config, "eps": golden.info["config"].get("eps", 1e-6)}


def build_dit(golden: Golden) -> CoInteractDiT:
    """The transformer of a file in float32, with the extras its weights hold."""
    settle_device()
    weights = dit_weights(golden)
    width = weights.get(EXPERT_WIDTH_KEY)
    hidden = 0 if width is None else width.shape[0]
    dit = plain_dit(dit_settings(golden), expert_hidden=hidden, hoi_stream=HOI_KEY in weights)
    dit.load_state_dict(weights)
    return dit


def build_patcher(golden: Golden, dtype: torch.dtype = torch.float32) -> Patcher:
    """A host model around a file's transformer."""
    settle_device()
    weights = {name: tensor.to(dtype) for name, tensor in dit_weights(golden).items()}
    patcher = plain_patcher(dit_settings(golden), weights, dtype)
    patcher.model.diffusion_model.load_state_dict(weights)
    return patcher
