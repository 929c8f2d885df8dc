"""With this pack installed, ComfyUI's own loaders load every other model as they do without it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import comfy.model_base
import comfy.ops
import comfy.sd
import comfy.supported_models
import pytest
import torch
from comfy.ldm.lightricks.model import LTXVModel
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.wan.model import VaceWanModel, WanModel, WanModel_S2V

from cointeract_pack.cointeract_core.host.model.registration import CoInteractConfig

pytestmark = pytest.mark.usefixtures("registered")
WAN = {"dim": 128, "ffn_dim": 192, "num_heads": 1, "num_layers": 2}
# as small as the entry for SD 1.5 allows: it asks for these channels and this text encoder
UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [1, 1],
    "channel_mult": [1, 1], "transformer_depth": [1, 0], "transformer_depth_output": [1, 1, 0, 0],
    "transformer_depth_middle": 1, "context_dim": 768, "num_heads": 8, "use_spatial_transformer": True, "legacy": False,
}  # fmt: skip
LTXV = {"in_channels": 128, "cross_attention_dim": 64, "attention_head_dim": 4, "num_attention_heads": 32}
KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "SD 1.5": (UNetModel, UNET, "BaseModel"),
    "Wan text to video": (WanModel, WAN, "WAN21"),
    "Wan image to video": (WanModel, {**WAN, "model_type": "i2v", "in_dim": 36}, "WAN21"),
    "Wan VACE": (VaceWanModel, {**WAN, "vace_layers": 1, "vace_in_dim": 96}, "WAN21_Vace"),
    "Wan speech to video": (WanModel_S2V, WAN, "WAN22_S2V"),
    "LTX video": (LTXVModel, {**LTXV, "num_layers": 1}, "LTXV"),
}


def state_of(kind: Callable[..., Any], sizes: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Seeded weights under the names that a file of this model has."""
    with torch.device("meta"):
        model = kind(**sizes, operations=comfy.ops.disable_weight_init, device="meta")
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(value.shape, generator=generator).to(torch.float16)
        for name, value in model.state_dict().items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_other_models_load_as_without_us(name, monkeypatch):
    kind, sizes, expected = KINDS[name]
    state = state_of(kind, sizes)
    models = comfy.supported_models.models
    assert CoInteractConfig in models
    ours = comfy.sd.load_diffusion_model_state_dict(dict(state))
    monkeypatch.setattr(comfy.supported_models, "models", [entry for entry in models if entry is not CoInteractConfig])
    theirs = comfy.sd.load_diffusion_model_state_dict(dict(state))
    assert type(ours.model) is type(theirs.model)
    assert type(ours.model).__name__ == expected
    assert type(ours) is type(theirs)
    wanted = theirs.model.diffusion_model.state_dict()
    found = ours.model.diffusion_model.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(tensor, found[key]) for key, tensor in wanted.items())


def test_nothing_of_comfyui_is_replaced():
    """What a pack changes in ComfyUI, it changes for everyone: of ours, that is one entry in one list."""

    for module in (comfy.sd, comfy.ops, comfy.model_base, comfy.supported_models):
        for name, value in vars(module).items():
            if inspect.isfunction(value) or inspect.isclass(value):
                assert "cointeract" not in (getattr(value, "__module__", "") or "").lower(), f"{module.__name__}.{name}"
