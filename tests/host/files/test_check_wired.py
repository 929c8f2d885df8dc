"""Models wired in from the host's own loaders: the right ones pass, the others are named."""

from __future__ import annotations

from types import SimpleNamespace

import comfy.sd
import comfy.taesd.taesd
import pytest
import torch
from comfy.audio_encoders.audio_encoders import AudioEncoderModel
from comfy.ldm.wan import vae, vae2_2
from comfy.sd1_clip import SD1ClipModel
from comfy.text_encoders.wan import WanT5Model

from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host.files import workflow
from cointeract_pack.cointeract_core.host.files.check_wired import (
    check_audio_encoder,
    check_model,
    check_text_encoder,
    check_vae,
)
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract

pytestmark = pytest.mark.usefixtures("registered")


def refusal(function, *arguments):
    """What a refused model says."""
    with pytest.raises(ModelFileError) as caught:
        function(*arguments)
    return str(caught.value)


def test_model(tiny, put):
    name = put("diffusion_models", "base.safetensors", tiny.base())
    check_model(load_cointeract(name, "none").patcher)
    plain = comfy.sd.load_diffusion_model_state_dict(tiny.base())
    assert refusal(check_model, plain) == (
        "model is Wan2.2-S2V without CoInteract, but a CoInteract model was expected; load it with Load CoInteract "
        "Model (its adapter may be none)."
    )


def small(version, channels):
    """A Wan VAE of four channels inside."""
    return version.WanVAE(dim=4, z_dim=channels, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[])


def test_vae():
    module = small(vae, 16)
    check_vae(comfy.sd.VAE(sd={name: torch.zeros_like(value) for name, value in module.state_dict().items()}))


def test_preview_vae_of_another_model():
    state = {f"taesd_{name}": value for name, value in comfy.taesd.taesd.TAESD(latent_channels=16).state_dict().items()}
    found = comfy.sd.VAE(sd={name.replace("taesd_taesd_", "taesd_"): value for name, value in state.items()})
    assert found.latent_channels == 16
    assert refusal(check_vae, found) == (
        "vae is TAESD with 16 latent channels, but the VAE of Wan 2.1 with 16 was expected (Wan2.2-S2V uses it too); "
        "load wan_2.1_vae.safetensors."
    )


def test_vae_of_wan_2_2():
    # the host builds this one in full size only, so its class is made small here and put into the host's object
    found = comfy.sd.VAE.__new__(comfy.sd.VAE)
    found.first_stage_model, found.latent_channels = small(vae2_2, 48), 48
    assert refusal(check_vae, found) == (
        "vae is WanVAE with 48 latent channels, but the VAE of Wan 2.1 with 16 was expected (Wan2.2-S2V uses it too); "
        "load wan_2.1_vae.safetensors."
    )


def test_text_encoder():
    check_text_encoder(SimpleNamespace(cond_stage_model=WanT5Model(device="meta", dtype=torch.bfloat16)))
    other = SimpleNamespace(cond_stage_model=SD1ClipModel(device="meta", dtype=torch.bfloat16))
    assert refusal(check_text_encoder, other) == (
        "clip is SD1ClipModel, but umT5-XXL was expected; load umt5_xxl_fp8_e4m3fn_scaled.safetensors with Load CLIP "
        "and type wan."
    )


def encoder(width):
    """The host's audio encoder of one layer."""
    large = width == 1024
    return AudioEncoderModel(
        {
            "model_type": "wav2vec2",
            "embed_dim": width,
            "num_heads": width // 64,
            "num_layers": 1,
            "conv_norm": large,
            "conv_bias": large,
            "do_normalize": large,
            "do_stable_layer_norm": large,
        }
    )


def test_audio_encoder_of_another_build():
    assert refusal(check_audio_encoder, encoder(768)) == (
        "audio_encoder is 768 wide, but wav2vec2 of width 1024 was expected; load wav2vec2-large-xlsr-53-chinese-zh-cn."
    )
    assert refusal(check_audio_encoder, AudioEncoderModel({"model_type": "whisper3"})) == (
        "audio_encoder is WhisperLargeV3, but wav2vec2 of width 1024 was expected; load "
        "wav2vec2-large-xlsr-53-chinese-zh-cn."
    )


def test_audio_encoder_of_another_language():
    large = encoder(1024)
    assert check_audio_encoder(large) == (
        "audio_encoder has the right size, but English and Chinese encoders of this size look the same: make sure it "
        "is wav2vec2-large-xlsr-53-chinese-zh-cn."
    )
    assert check_audio_encoder(large, "wav2vec2_large_english_fp16.safetensors") == (
        "audio_encoder wav2vec2_large_english_fp16.safetensors is the English wav2vec2 by its name; lips follow better "
        "with wav2vec2-large-xlsr-53-chinese-zh-cn."
    )
    assert check_audio_encoder(large, "wav2vec2_xlsr53_chinese.safetensors") is None
    assert check_audio_encoder(large, "model.safetensors", 3503) is None
    assert refusal(check_audio_encoder, large, "model.safetensors", 33) == (
        "audio_encoder model.safetensors is the English wav2vec2 (33 letters in its lm_head), but the model was "
        "trained with the Chinese one; load wav2vec2-large-xlsr-53-chinese-zh-cn."
    )


def test_audio_encoder_is_looked_up_in_the_workflow(put):
    prompt = {
        "1": {"class_type": "AudioEncoderLoader", "inputs": {"audio_encoder_name": "zh.safetensors"}},
        "2": {"class_type": "CoInteractSpeechEncoder", "inputs": {"audio_encoder": ["1", 0]}},
        "3": {"class_type": "CoInteractSpeechEncoder", "inputs": {"audio_encoder": ["2", 0]}},
    }
    assert workflow.audio_encoder_file(prompt, "2") == "zh.safetensors"
    for case in ((prompt, "3"), (prompt, "9"), (None, "2")):
        assert workflow.audio_encoder_file(*case) is None
    assert workflow.audio_encoder_vocabulary(None) is None
    put("audio_encoders", "zh.safetensors", {"lm_head.weight": torch.zeros(3503, 2)})
    assert workflow.audio_encoder_vocabulary("zh.safetensors") == 3503
    put("audio_encoders", "fp16.safetensors", {"a": torch.zeros(1)})
    assert workflow.audio_encoder_vocabulary("fp16.safetensors") is None
