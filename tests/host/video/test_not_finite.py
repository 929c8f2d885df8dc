"""Nobody calls a result done that was not looked at: NaN, infinity, and clips of one colour."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import comfy.lora
import pytest
import torch
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.clips.loop import decode_target, run_clips
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.clips.watch import StepWatch, check_finite, one_colour
from cointeract_pack.cointeract_core.errors import InputError, ResultError
from cointeract_pack.cointeract_core.host.files.blame import suspicion
from cointeract_pack.cointeract_core.host.files.workflow import model_files
from cointeract_pack.cointeract_core.host.video import generate, single_clip
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host.clip_runs import SETTINGS, sample, small_patcher

PROMPT = {
    "1": {"class_type": "CoInteractLoadModel", "inputs": {"base": "base.safetensors", "adapter": "none"}},
    "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "good.safetensors", "model": ["1", 0]}},
    "3": {"class_type": "Stack", "inputs": {"one": {"on": True, "lora": "bad.safetensors"}, "model": ["2", 0]}},
    "4": {"class_type": "VAELoader", "inputs": {"vae_name": "vae.safetensors"}},
    "5": {"class_type": "CoInteractSampler", "inputs": {"model": ["3", 0], "vae": ["4", 0]}},
    "6": {"class_type": "KSampler", "inputs": {"model": ["3", 0], "positive": ["5", 0], "seed": 1}},
    "7": {"class_type": "CoInteractDecodeClip", "inputs": {"latent": ["6", 0], "vae": ["4", 0]}},
}


def tensors(value=0.01):
    """A LoRA on two layers, the second with this value in it."""
    lora = {}
    for layer in ("self_attn.q", "cross_attn.o"):
        lora[f"diffusion_model.blocks.0.{layer}.lora_down.weight"] = torch.full((4, 32), 0.01)
        lora[f"diffusion_model.blocks.0.{layer}.lora_up.weight"] = torch.full((32, 4), 0.01)
    lora["diffusion_model.blocks.0.cross_attn.o.lora_up.weight"][1, 2] = value
    return lora


@pytest.fixture
def patched():
    """The small model with a LoRA as ComfyUI's own node applies it."""

    def build(value):
        patcher = small_patcher()
        width = patcher.model.diffusion_model.dim
        lora = {
            name: torch.nn.functional.interpolate(
                tensor[None, None], (width, 4) if name.endswith("lora_up.weight") else (4, width)
            )[0, 0]
            for name, tensor in tensors(value).items()
        }
        patches = comfy.lora.load_lora(lora, comfy.lora.model_lora_keys_unet(patcher.model, {}))
        assert len(patcher.add_patches(patches, 1.0)) == 2
        return patcher

    return build


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_ends_after_the_first_step_that_is_not_finite(value, patched, small_scene):
    conditions = clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)
    patcher, passes = patched(value), []
    hook = patcher.model.diffusion_model.head.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(ResultError, match="the latents after step 1 hold values that are not numbers"):
        sample(patcher, conditions, replace(SETTINGS, steps=8))
    hook.remove()
    assert 1 <= len(passes) <= 4  # the two passes of guidance, on a GPU of two steps; not of eight


class Decoder:
    """Stands in for the VAE: fine until the last clip."""

    def __init__(self, *frames):
        self._frames = list(frames)

    def __call__(self, _latents, count):
        return self._frames.pop(0)[:count]


@pytest.fixture
def made(tmp_path, monkeypatch, small_scene):
    """Make a video whose latents and frames are given."""

    def run(patcher, targets, frames, files=()):
        targets, said = list(targets), []
        monkeypatch.setattr(generate, "clip_sampler", lambda *_args, **_named: lambda *_clip: targets.pop(0))
        monkeypatch.setattr(generate, "end_decoder", lambda _vae: Decoder(*frames))
        monkeypatch.setattr(generate, "encode_frames", lambda _vae, _frames: torch.zeros(1, 16, 19, 8, 8))
        monkeypatch.setattr(generate, "new_video_paths", lambda *_: (tmp_path / "ad.mp4", tmp_path / "work"))
        monkeypatch.setattr(generate.RunProgress, "say", lambda _self, text: said.append(text))
        video = generate.generate_video(patcher, None, small_scene, SETTINGS, filename_prefix="ad", files=files)
        return video, said

    return run


LATENTS = torch.zeros(1, 16, 20, 8, 8)
FRAMES = torch.rand(80, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def spoilt(tensor):
    out = tensor.clone()
    out.view(-1)[-1] = math.nan
    return out


@pytest.mark.parametrize(
    ("targets", "frames", "said"),
    [
        ([spoilt(LATENTS)], [], "In clip 1 of 2 the latents of the clip hold"),
        ([LATENTS, LATENTS], [FRAMES, spoilt(FRAMES)], "In clip 2 of 2 the frames of the clip hold"),
    ],
)
def test_a_clip_that_is_not_finite_ends_the_video_and_the_clips_before_are_kept(
    targets, frames, said, made, tmp_path, patched
):
    with pytest.raises(ResultError) as refusal:
        made(patched(0.01), targets, frames, files=("base.safetensors", "good.safetensors"))
    text = str(refusal.value)
    assert text.startswith(f"{said} values that are not numbers (NaN or infinity), but numbers were expected; look at")
    assert "(base.safetensors, good.safetensors)" in text
    kept = "80 frames of the clips before are in ad.mp4" if frames else "nothing"
    assert text.endswith(f"kept: {kept}.")
    assert (tmp_path / "ad.mp4").is_file() == bool(frames)


def test_motion_frames_are_looked_at_too(small_scene):
    steps = {"sample": lambda *_: LATENTS, "decode": lambda *_: FRAMES, "encode": lambda _frames: spoilt(LATENTS)}
    with pytest.raises(ResultError, match="the motion frames of the next clip hold"):
        list(run_clips(plan_video(160, 1), small_scene.person.latent, **steps))


def test_a_clip_of_one_colour_is_told(made, patched, caplog):
    flat = torch.full((80, 64, 64, 3), 0.2)
    _, said = made(patched(0.01), [LATENTS, LATENTS], [FRAMES, flat])
    assert said[-1].endswith("; clip 2 is one colour from edge to edge")
    assert "clip 2 is one colour" in caplog.text


def test_one_colour():
    flat = torch.full((3, 4, 5, 3), 0.5)
    assert one_colour(flat)
    assert one_colour(flat * torch.tensor([1.0, 0.5, 0.0]))
    flat[2, 3, 4, 1] += 2 / 255
    assert not one_colour(flat)


def test_decode_clip_looks_at_latents_and_frames(monkeypatch):
    context = single_clip.ClipContext(plan_video(160, 1).clips[0], torch.zeros(1, 16, 1, 8, 8))
    with pytest.raises(ResultError, match=r"In Decode Clip the latents of the clip hold .* \(bad.safetensors\)"):
        single_clip.decode_clip(None, spoilt(LATENTS), context, ("bad.safetensors",))
    monkeypatch.setattr(single_clip, "decode_last", lambda _vae, _latents, count: spoilt(FRAMES)[:count])
    with pytest.raises(ResultError, match="the frames of the clip hold"):
        single_clip.decode_clip(None, LATENTS, context)
    monkeypatch.setattr(single_clip, "decode_last", lambda _vae, _latents, count: FRAMES[:count] * 0)
    assert "one colour" in single_clip.decode_clip(None, LATENTS, context)[1]
    monkeypatch.setattr(single_clip, "decode_last", lambda _vae, _latents, count: FRAMES[:count])
    assert single_clip.decode_clip(None, LATENTS, context)[1] is None


def test_frames_before_a_clip_that_are_not_finite_are_refused(small_scene, monkeypatch):
    monkeypatch.setattr(single_clip, "check_vae", lambda _vae: None)
    monkeypatch.setattr(single_clip, "encode_frames", lambda _vae, _frames: spoilt(LATENTS))
    with pytest.raises(InputError, match="From previous_frames the motion frames hold"):
        single_clip.prepare_clip_context(small_scene, 1, "vae", FRAMES)


def test_the_broken_file_is_named(patched, model_folder):
    save_file(tensors(), model_folder("loras") / "good.safetensors")
    save_file(tensors(math.nan), model_folder("loras") / "bad.safetensors")
    files = model_files(PROMPT, "5", "model")
    assert set(files) == {"base.safetensors", "good.safetensors", "bad.safetensors"}
    said = "bad.safetensors holds such values itself: take it out or download it again"
    assert suspicion(patched(math.nan), files) == said
    assert suspicion(None, model_files(PROMPT, "7", "latent")) == said  # Decode Clip knows no model
    assert suspicion(patched(math.nan), ()) == (
        "a LoRA on the model holds such values itself (for diffusion_model.blocks.0.cross_attn.o.weight): take it out "
        "or download it again"
    )
    assert suspicion(patched(0.01), ()) == (
        "look at the model's files: leave out the LoRAs one by one, then try another weight_dtype"
    )


def test_files_are_found_whatever_the_workflow_looks_like():
    assert model_files(None, None, "model") == ()
    assert model_files({"1": {"inputs": {"model": ["1", 0]}}}, "1", "model") == ()  # a circle
    assert model_files({"1": {"inputs": {"model": ["9", 0]}}, "9": None}, "1", "model") == ()


def test_the_watch_reads_every_step():
    watch = StepWatch()
    watch.look(1, torch.ones(3))
    with pytest.raises(ResultError, match="step 2"):
        watch.look(2, torch.tensor([1.0, math.nan]))
    watch.judge()
    check_finite(torch.full((4,), 3e38), "large numbers")  # their sum is none, they are
    with pytest.raises(ResultError):
        check_finite(torch.tensor([math.inf, -math.inf]), "both ends")


def test_decoding_is_not_begun_with_what_is_no_number():
    with pytest.raises(ResultError):
        decode_target(spoilt(LATENTS), torch.zeros(1, 16, 1, 8, 8), partial(pytest.fail, "decoded"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: how it waits can only be seen there")
def test_the_watch_does_not_wait_for_a_gpu():
    watch = StepWatch()
    latents = torch.ones(1, 16, 20, 8, 8, device="cuda")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1, 4):
            watch.look(step, latents)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    watch.judge()
    watch.look(4, latents * math.nan)
    torch.cuda.synchronize()
    with pytest.raises(ResultError, match="step 4"):
        watch.look(5, latents)
