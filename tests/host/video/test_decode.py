"""Decoding the end of a clip: the same bits as decoding all of it, without the work nobody sees."""

from __future__ import annotations

from collections import Counter

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.ldm.wan.vae import ResidualBlock, WanVAE
from comfy.model_management import InterruptProcessingException, interrupt_current_processing
from torch import nn

from cointeract_pack.cointeract_core.clips.decoder import Pace, learn_pace, make_layers, modules_of
from cointeract_pack.cointeract_core.host.video.decode import TRIED, decode_last, end_decoder
from cointeract_pack.tests.host import stand_ins

# the published decoder, narrower: its layers and kernels are what decides
PUBLISHED = {"z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "temperal_downsample": [False, True, True]}
CLIPS = {"the first clip behind the person": (21, 80), "a later clip behind its motion": (39, 80)}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def vae():
    module = WanVAE(dim=4, **PUBLISHED)
    for number, (name, weight) in enumerate(module.state_dict().items()):
        spread = 1.0 if name.endswith("gamma") else 1.5 / max(weight[0].numel(), 1) ** 0.5
        weight.copy_(random(*weight.shape, seed=number) * spread)
    return comfy.sd.VAE(sd=module.state_dict())


@pytest.fixture
def seen(vae):
    """Frames that went through a layer of each stage of the decoder."""
    decoder = vae.first_stage_model.decoder
    counts = Counter()
    parts = {"stage 0": decoder.upsamples[0], "stage 3": decoder.upsamples[-3]}
    named = {name: block.residual[2] for name, block in parts.items()} | {"head": decoder.head[2]}

    def count(name):
        return lambda _layer, inputs: counts.update({name: inputs[0].shape[2]})

    hooks = [layer.register_forward_pre_hook(count(name)) for name, layer in named.items()]
    yield counts
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("clip", CLIPS)
def test_not_a_bit_changes(clip, vae, seen):
    latents, frames = CLIPS[clip]
    z = random(1, 16, latents, 4, 6, seed=1)
    whole = vae.decode(z)[0]
    every = {"stage 0": latents, "stage 3": 4 * latents - 3, "head": 4 * latents - 3}
    assert seen == every
    decode = end_decoder(vae)
    seen.clear()
    end = decode(z, frames)
    assert torch.equal(end, whole[-frames:])
    assert whole.std() > 0.05
    assert seen["stage 0"] == latents
    if latents > 21:  # a clip's 80 frames, what a layer looks back, and the rest of a step
        assert 80 <= seen["head"] <= 88
        assert 80 < seen["stage 3"] <= 100
    else:
        assert seen == every


@pytest.fixture
def paired(vae, monkeypatch):
    """The VAE with the decoder of newer ComfyUI: two latents a step, blocks that know the last call's frames alone."""
    monkeypatch.setattr(ResidualBlock, "forward", stand_ins.paired_block)
    monkeypatch.setattr(WanVAE, "decode", stand_ins.paired_decode)
    return vae


@pytest.mark.parametrize(("latents", "frames"), [(39, 80), (21, 80), (6, 9), (2, 5), (1, 1)])
def test_a_decoder_of_two_latents_a_step(latents, frames, paired):
    """Same frames as its own whole decode, bit by bit, though each of its layers forgets sooner."""
    z = random(1, 16, latents, 4, 6, seed=5)
    assert torch.equal(decode_last(paired, z, frames), paired.decode(z)[0][-frames:])


def test_a_decoder_of_two_latents_a_step_is_not_run_on_all(paired):
    module = paired.first_stage_model
    modules = modules_of(module.decoder)
    assert learn_pace(modules, lambda: module.decode(random(*TRIED))) == Pace(2, 2)
    decode, pieces = end_decoder(paired), []
    hook = module.decoder.head[2].register_forward_pre_hook(lambda _layer, inputs: pieces.append(inputs[0].shape[2]))
    decode(random(1, 16, 39, 2, 2, seed=5), 80)
    hook.remove()
    assert max(pieces) == 2
    assert sum(pieces) <= 88


def test_a_decoder_that_remembers_otherwise_decodes_by_itself(vae, monkeypatch, caplog):
    """A program whose frames differ from the plain causal ones, as a changed memory would make them."""
    caplog.set_level("INFO", "cointeract")
    module, own = vae.first_stage_model, vae.first_stage_model.decode
    monkeypatch.setattr(module, "decode", lambda z: own(z).cumsum(2) / 50)
    z = random(1, 16, 7, 2, 2)
    assert torch.equal(decode_last(vae, z, 9), vae.decode(z)[0][-9:])
    assert "a way of its own" in caplog.text


@pytest.mark.parametrize("part", ["conv1", "upsamples"])
def test_a_decoder_of_another_build_decodes_by_itself(part, vae, monkeypatch):
    module = vae.first_stage_model
    hidden = nn.Sequential(nn.Conv3d(1, 1, 3))  # reaches through time at a place nobody knows
    other = nn.ModuleList([*module.decoder.upsamples, hidden]) if part == "upsamples" else hidden
    monkeypatch.setitem(module.decoder._modules, part, other)
    assert modules_of(module.decoder) is None


@pytest.mark.parametrize("frames", [1, 2, 5, 33, 77])
@pytest.mark.parametrize("latents", [1, 2, 7, 20])
def test_any_end_of_any_length(latents, frames, vae):
    z = random(1, 16, latents, 2, 2, seed=2)
    assert torch.equal(decode_last(vae, z, frames), vae.decode(z)[0][-frames:])


def test_the_oldest_latent_matters_to_the_first_frame_kept(vae):
    """Else the motion frames could be left out; it does, by the layers that see the latents themselves."""
    z = random(1, 16, 39, 4, 4, seed=3)
    changed = z.clone()
    changed[:, :, 0] += 5.0
    one, other = (vae.first_stage_model.decode(tensor.to(vae.vae_dtype)).float() for tensor in (z, changed))
    reached = (one - other).abs().amax(dim=(0, 1, 3, 4)).nonzero().max()
    layers = make_layers(modules_of(vae.first_stage_model.decoder), 39, 80)
    assert layers[0].begins == 0
    assert reached >= 40


def test_layers_begin_later_towards_the_picture(vae):
    begins = [layer.begins for layer in make_layers(modules_of(vae.first_stage_model.decoder), 39, 80)]
    assert begins == sorted(begins)
    assert begins[0] == 0
    assert begins[-1] == 18


def test_interrupt_between_latents(vae, seen):
    decoder, decode = vae.first_stage_model.decoder, end_decoder(vae)
    seen.clear()
    hook = decoder.conv1.register_forward_hook(lambda *_: interrupt_current_processing())
    with pytest.raises(InterruptProcessingException):
        decode(random(1, 16, 5, 2, 2), 17)
    hook.remove()
    assert seen["head"] <= 1


def test_where_memory_runs_out_the_host_tiles(vae, monkeypatch, caplog):
    z = random(1, 16, 3, 4, 4, seed=4)
    expected = vae.decode(z)[0][-5:]
    decode = end_decoder(vae)
    real, failed = type(vae.first_stage_model.decoder.head[2]).forward, []

    def once(self, *args, **kwargs):
        if not failed:
            failed.append(True)
            raise comfy.model_management.OOM_EXCEPTION("no memory")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(vae.first_stage_model.decoder.head[2]), "forward", once)
    assert torch.equal(decode(z, 5), expected)
    assert "ran out of memory" in caplog.text


def test_other_vaes_decode_by_their_own_means(vae):
    class Other:
        def decode(self, latents):
            return torch.arange(9.0).view(1, 9, 1, 1, 1).expand(1, 9, 2, 2, 3)

    assert decode_last(Other(), torch.zeros(1, 16, 3, 1, 1), 4)[:, 0, 0, 0].tolist() == [5.0, 6.0, 7.0, 8.0]

    class Wrapped(comfy.sd.VAE):
        def decode(self, latents):
            return super().decode(latents) * 0

    vae.__class__ = Wrapped
    try:
        assert not decode_last(vae, random(1, 16, 2, 2, 2), 3).any()
    finally:
        vae.__class__ = comfy.sd.VAE
