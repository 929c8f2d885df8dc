"""Use the host's modules without its server: for verification, benchmarks and the training command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..objects import Patcher, UnetConfig, Vae

if TYPE_CHECKING:
    from .dit import CoInteractDiT


def settle_device(cpu: bool | None = None) -> None:
    """Settle the host's device before its model management is imported.

    Args:
        cpu: keep everything on the CPU; None decides by whether a GPU is there.
    """
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available() if cpu is None else cpu


def use_torch_attention() -> None:
    """Choose PyTorch's attention, the host's default on a GPU, wherever this runs; before the model is imported."""
    from comfy.cli_args import args

    args.use_pytorch_cross_attention = True


def plain_dit(
    settings: UnetConfig,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    cast: bool = False,
    **extras: Any,
) -> CoInteractDiT:
    """Our transformer outside of any loader, its weights not filled.

    Args:
        settings: arguments of the host's constructor.
        cast: its layers take weights of another precision than their input's.
        extras: arguments of `CoInteractDiT` beyond those.
    """
    import comfy.ops

    from .dit import CoInteractDiT

    operations = comfy.ops.manual_cast if cast or dtype == torch.float32 else comfy.ops.disable_weight_init
    dit = CoInteractDiT(**settings, **extras, device=device, dtype=dtype, operations=operations)
    dit.eval()
    return dit


def plain_s2v(settings: UnetConfig, device: str, dtype: torch.dtype) -> nn.Module:
    """The host's own Wan2.2-S2V transformer, its weights not filled."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel_S2V

    model: nn.Module = WanModel_S2V(**settings, device=device, dtype=dtype, operations=comfy.ops.disable_weight_init)
    return model.eval()


def plain_patcher(
    settings: UnetConfig, weights: dict[str, Tensor], dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Patcher:
    """A host model built the way the host's loaders build it; its weights are not filled."""
    from comfy.model_patcher import ModelPatcher

    from .registration import CoInteractConfig

    config = CoInteractConfig({"image_model": "wan2.1", **settings})
    config.set_inference_dtype(dtype, dtype)
    where = torch.device(device)
    model = config.get_model(weights, device=where).eval()
    patcher: Patcher = ModelPatcher(model, load_device=where, offload_device=where)
    return patcher


def plain_vae(config: dict[str, Any]) -> nn.Module:
    """The host's causal VAE, its weights not filled."""
    from comfy.ldm.wan.vae import WanVAE

    vae: nn.Module = WanVAE(**config)
    return vae.eval()


def host_vae(state: dict[str, Tensor]) -> Vae:
    """The host's VAE of a file's tensors."""
    import comfy.sd

    vae: Vae = comfy.sd.VAE(sd=state)
    return vae


def in_tiles(tensor: Tensor, function: Callable[[Tensor], Tensor], **how: Any) -> Tensor:
    """Run `function` over overlapping tiles as the host's VAE does; see its `tiled_scale_multidim`."""
    from comfy.utils import tiled_scale_multidim

    out: Tensor = tiled_scale_multidim(tensor, function, **how)
    return out
