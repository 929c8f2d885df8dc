"""A causal VAE without its products with zeros gives the same latents and pictures."""

from __future__ import annotations

import comfy.sd
import pytest
import torch
from comfy.ldm.wan.vae import CausalConv3d
from safetensors.torch import load_file
from tiny.tiny_models import vae_shapes
from tiny.toy_models import TRAINED, VAE, VAE_DIM

from cointeract_pack.cointeract_core.clips.decoder import modules_of
from cointeract_pack.tests.host.tiny_config import tiny_host_config
from cointeract_pack.toy.held_out import PARTS
from cointeract_pack.toy.packing import unpacked
from cointeract_pack.toy.world.render import frames

FRAMES = 9
CLOSE = 1e-4  # of values about 1; only the order of sums differs


@pytest.fixture
def lean_vae(repo):
    with tiny_host_config(repo) as pack:
        comfy.sd.VAE.__init__ = pack.lean_vae._make_vae  # as ComfyUI has it
        yield pack.lean_vae


@pytest.fixture
def vae(lean_vae):
    whole = unpacked(load_file(TRAINED / VAE), vae_shapes(VAE_DIM))
    return comfy.sd.VAE(sd={name: tensor.float() for name, tensor in whole.items()})


@torch.inference_mode()
def test_latents_and_pictures_are_the_same(vae, lean_vae):
    pictures = torch.from_numpy(frames(PARTS["test"].take(1)[0], 0, FRAMES)).float() / 255
    latents = vae.encode(pictures)
    decoded = vae.decode(latents)
    assert lean_vae.trim(vae.first_stage_model) > 20
    assert torch.allclose(vae.encode(pictures), latents, atol=CLOSE)
    assert torch.allclose(vae.decode(latents), decoded, atol=CLOSE)
    assert modules_of(vae.first_stage_model.decoder)  # only the frames that are needed are decoded still


def test_a_kernel_that_looks_back_is_left_alone(vae, lean_vae):
    looking = {
        name: module.weight.shape
        for name, module in vae.first_stage_model.named_modules()
        if isinstance(module, CausalConv3d) and module.weight[:, :, :-1].any()
    }
    assert looking
    lean_vae.trim(vae.first_stage_model)
    modules = dict(vae.first_stage_model.named_modules())
    assert {name: modules[name].weight.shape for name in looking} == looking


def test_installed_it_trims_what_is_loaded(vae, lean_vae):
    lean_vae.install()
    state = vae.first_stage_model.state_dict()
    lean = comfy.sd.VAE(sd=state).first_stage_model.state_dict()
    assert sum(tensor.numel() for tensor in lean.values()) < 0.6 * sum(tensor.numel() for tensor in state.values())


class NewerConv3d(torch.nn.Conv3d):
    """A causal convolution as ComfyUI 0.33 builds it: one number for the frames that it puts in front itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._padding, self.padding = 2 * self.padding[0], (0, *self.padding[1:])

    def forward(self, x):
        before = torch.zeros(*x.shape[:2], self._padding, *x.shape[3:])
        return super().forward(torch.cat([before, x], dim=2))


def test_a_newer_form_of_the_convolution_is_trimmed_too(lean_vae):
    conv = NewerConv3d(2, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight[:, :, :-1] = 0
    frames_in = torch.randn(1, 2, 5, 4, 4)
    expected = conv(frames_in)
    assert lean_vae.trim(conv) == 1
    assert torch.allclose(conv(frames_in), expected, atol=CLOSE)
    assert lean_vae.trim(conv) == 0


def test_a_convolution_of_another_kind_is_left_alone(lean_vae):
    conv = torch.nn.Conv3d(2, 4, 3, padding=1)
    torch.nn.init.zeros_(conv.weight)
    assert lean_vae.trim(conv) == 0
    assert conv.weight.shape == (4, 2, 3, 3, 3)
