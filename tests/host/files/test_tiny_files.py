"""The tiny model files, read by the host's own loaders without a word of complaint, and the sample inputs."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import comfy.audio_encoders.audio_encoders
import comfy.sd
import comfy.utils
import pytest
import torch
from tiny import tiny_models
from tiny.tiny_models import REAL_TO_TINY

from cointeract_pack.tests.host.tiny_config import tiny_host_config


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    return folder


@pytest.fixture
def complaints(caplog):
    """Lines in which the host says that keys are missing or left over."""
    caplog.set_level(logging.INFO)

    def found():
        return [line for line in caplog.messages if "missing" in line or "unexpected" in line or "left over" in line]

    return found


def file(models, real):
    (path,) = models.glob(f"*/{REAL_TO_TINY[real]}")
    return path


def test_every_tiny_file_says_so(models):
    names = sorted(path.name for path in models.rglob("*") if path.is_file() and path.suffix != ".json")
    assert names == sorted(REAL_TO_TINY.values())
    assert all("tiny" in name for name in names)
    assert sum(path.stat().st_size for path in models.rglob("*") if path.is_file()) < 20_000_000


def test_the_same_seed_writes_the_same_files(models, tmp_path):
    tiny_models.write(tmp_path)
    for path in models.rglob("*.safetensors"):
        assert (tmp_path / path.relative_to(models)).read_bytes() == path.read_bytes()


def test_base_is_the_hosts_own_s2v(models, complaints):
    model = comfy.sd.load_diffusion_model(str(file(models, "wan2.2_s2v_14B_fp8_scaled.safetensors")))
    assert type(model.model).__name__ == "WAN22_S2V"
    assert len(model.model.diffusion_model.blocks) == tiny_models.LAYERS
    assert complaints() == []


@pytest.mark.parametrize("real", ["checkpoint.safetensors", "checkpoint_pose.safetensors"])
def test_adapters_fit_the_base(models, real, registered, model_folder):
    from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract

    base, adapter = file(models, "wan2.2_s2v_14B_fp8_scaled.safetensors"), file(models, real)
    for path in (base, adapter):
        shutil.copy(path, model_folder(path.parent.name))
    loaded = load_cointeract(base.name, adapter.name)
    assert type(loaded.patcher.model).__name__ == "CoInteractModel"
    assert "136 LoRA tensors, 28 expert tensors, 0 unknown" in loaded.report


def test_the_fast_lora_changes_what_the_model_makes(models, registered, model_folder, small_scene, caplog):
    """By the host's own node, on top of base and adapter, without a layer left over."""
    from nodes import LoraLoaderModelOnly

    from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
    from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
    from cointeract_pack.cointeract_core.host.video.sampling import (
        PUBLISHED_SCHEDULE,
        SampleSettings,
        make_sigmas,
        sample_clip,
        with_shift,
    )

    base, adapter = file(models, "wan2.2_s2v_14B_fp8_scaled.safetensors"), file(models, "checkpoint.safetensors")
    lora = file(models, "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors")
    for path in (base, adapter, lora):
        shutil.copy(path, model_folder(path.parent.name))
    state = comfy.utils.load_torch_file(str(lora))
    assert {str(tensor.dtype) for tensor in state.values()} == {"torch.float32", "torch.int64"}
    model = load_cointeract(base.name, adapter.name).patcher
    (fast,) = LoraLoaderModelOnly().load_lora_model_only(model, lora.name, 1.0)
    assert "not loaded" not in caplog.text
    settings = SampleSettings(seed=3, steps=2, cfg=1.0, shift=5.0, sampler="euler", scheduler=PUBLISHED_SCHEDULE)
    generator = torch.Generator().manual_seed(0)
    text, audio = (torch.randn(shape, generator=generator) for shape in ((1, 6, 4096), (25, 1024, 160)))
    prompts = replace(small_scene.prompts, positive=([[text, {}]],), negative=[[text, {}]])
    scene = replace(small_scene, speech=replace(small_scene.speech, features=audio), prompts=prompts)
    clip = clip_conditions(scene, scene.speech.plan.clips[0], None)

    def latents(patcher):
        shifted = with_shift(patcher, settings.shift)
        return sample_clip(shifted, clip, settings, make_sigmas(shifted, settings), settings.seed)

    without = latents(model)
    difference = (latents(fast) - without).abs().max()
    assert 0.01 < difference < 10
    assert torch.equal(latents(model), without)  # the host takes its patches back


def test_vae_makes_a_picture_that_moves(models, complaints):
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(file(models, "wan_2.1_vae.safetensors"))))
    generator = torch.Generator().manual_seed(0)
    frames = vae.decode(torch.randn(1, 16, 3, 8, 8, generator=generator))[0]
    assert frames.shape == (9, 64, 64, 3)
    assert torch.isfinite(frames).all()
    assert frames.std() > 0.02
    assert (frames[0] - frames[-1]).abs().mean() > 0.01
    assert complaints() == []


def test_text_encoder_tells_prompts_apart(models, repo, complaints):
    path = str(file(models, "umt5_xxl_fp8_e4m3fn_scaled.safetensors"))
    with tiny_host_config(repo):
        clip = comfy.sd.load_clip([path], clip_type=comfy.sd.CLIPType.WAN)
    one, other = (clip.encode_from_tokens(clip.tokenize(text)) for text in ("a woman smiles", "a man looks"))
    assert one.shape == (1, 512, 4096)
    assert torch.isfinite(one).all()
    assert (one - other).abs().max() > 0.1
    assert complaints() == []


def test_speech_encoder_hears(models, complaints):
    path = str(file(models, "wav2vec2_large_xlsr53_chinese_fp32.safetensors"))
    encoder = comfy.audio_encoders.audio_encoders.load_audio_encoder_from_sd(
        comfy.utils.load_torch_file(path, safe_load=True)
    )
    generator = torch.Generator().manual_seed(0)
    layers = encoder.encode_audio(torch.randn(1, 1, 8000, generator=generator), 16000)["encoded_audio_all_layers"]
    assert len(layers) == 25
    assert all(torch.isfinite(layer).all() for layer in layers)
    assert layers[-1].std(dim=1).mean() > 1e-3
    assert complaints() == []
