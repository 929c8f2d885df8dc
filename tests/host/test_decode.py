"""Decoding the end of a clip: the same bits as decoding all of it, without the work nobody sees."""

from __future__ import annotations

from collections import Counter

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.ldm.wan.vae import WanVAE
from comfy.model_management import InterruptProcessingException, interrupt_current_processing

from cointeract_pack.cointeract_core.host.decode import decode_last, make_layers

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
def calls(vae):
    """How often each layer of the decoder runs."""
    decoder = vae.first_stage_model.decoder
    counts = Counter()
    named = {"stage 0": decoder.upsamples[0], "stage 3": decoder.upsamples[-3], "head": decoder.head[2]}
    hooks = [layer.register_forward_hook(lambda *_, name=name: counts.update([name])) for name, layer in named.items()]
    yield counts
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("clip", CLIPS)
def test_not_a_bit_changes(clip, vae, calls):
    latents, frames = CLIPS[clip]
    z = random(1, 16, latents, 4, 6, seed=1)
    whole = vae.decode(z)[0]
    assert calls == {"stage 0": latents, "stage 3": latents, "head": latents}
    calls.clear()
    end = decode_last(vae, z, frames)
    assert torch.equal(end, whole[-frames:])
    assert whole.std() > 0.05
    assert calls["stage 0"] == latents
    later = latents > 21
    assert calls["stage 3"] == (24 if later else latents)
    assert calls["head"] == (21 if later else latents)


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
    layers = make_layers(vae.first_stage_model.decoder, 39, 80)
    assert layers[0].begins == 0
    assert reached >= 40


def test_layers_begin_later_towards_the_picture(vae):
    begins = [layer.begins for layer in make_layers(vae.first_stage_model.decoder, 39, 80)]
    assert begins == sorted(begins)
    assert begins[0] == 0
    assert begins[-1] == 18


def test_interrupt_between_latents(vae, calls):
    decoder = vae.first_stage_model.decoder
    hook = decoder.conv1.register_forward_hook(lambda *_: interrupt_current_processing())
    with pytest.raises(InterruptProcessingException):
        decode_last(vae, random(1, 16, 5, 2, 2), 17)
    hook.remove()
    assert calls["head"] <= 1


def test_where_memory_runs_out_the_host_tiles(vae, monkeypatch, caplog):
    z = random(1, 16, 3, 4, 4, seed=4)
    expected = vae.decode(z)[0][-5:]
    real, failed = type(vae.first_stage_model.decoder.head[2]).forward, []

    def once(self, *args, **kwargs):
        if not failed:
            failed.append(True)
            raise comfy.model_management.OOM_EXCEPTION("no memory")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(vae.first_stage_model.decoder.head[2]), "forward", once)
    assert torch.equal(decode_last(vae, z, 5), expected)
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
