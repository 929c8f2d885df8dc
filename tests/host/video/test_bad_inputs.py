"""Everything a user can wire wrongly, and the exact sentence the node answers with.

The nodes are run as the host runs them; nothing is loaded and nothing is written in any of these cases.
Wrong model files are in `test_wrong_files.py` and `test_check_files.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import folder_paths
import pytest
import torch

from cointeract_pack.cointeract_core.clips.parts import (
    FinishedVideo,
    PersonReference,
    Pose,
    ProductReference,
    Prompts,
    Speech,
)
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.errors import CoInteractError
from cointeract_pack.cointeract_core.host.video.single_clip import ClipContext
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.nodes import conditioning, references, sampling

SIZE = VideoSize(64, 96)
PERSON = PersonReference(torch.zeros(1, 16, 1, 12, 8), SIZE)
PROMPTS = Prompts(([[torch.zeros(1, 4, 8), {}]],), [[torch.zeros(1, 4, 8), {}]])
SPEECH = Speech(torch.zeros(25, 8, 160), torch.zeros(1, 1, 96000), 16000, plan_video(150, 1), False)
NO_NUMBERS = (
    "holds values that are not numbers (NaN or infinity), but 0 to 1 is expected; look for the node before that made "
    "them."
)


def image(width=64, height=96, channels=3, count=1, value=0.5):
    return torch.full((count, height, width, channels), value)


def audio(seconds=1.0, value=0.1, rate=16000):
    return {"waveform": torch.full((1, 1, int(seconds * 16000)), value), "sample_rate": rate}


def person(**wrong):
    return references.PersonReference, {
        "image": image(),
        "vae": "vae",
        "size": "custom",
        "width": 64,
        "height": 96,
        "fit": "crop",
        **wrong,
    }


def product(**wrong):
    settings = {"fit": "pad", "padding": 1.25, "background": "black", "scale": 1.0}
    return references.ProductReference, {"person": PERSON, "image": image(), "vae": "vae", **settings, **wrong}


def speech(**wrong):
    settings = {"max_clips": 0, "reference_behaviour": False}
    return conditioning.SpeechEncoder, {"audio": audio(), "audio_encoder": None, **settings, **wrong}


def pose(**wrong):
    inputs = {"person": PERSON, "speech": SPEECH, "vae": "vae", "fps": 25.0, "frames": image(count=5)}
    return conditioning.PoseEncoder, {**inputs, **wrong}


def prompts(text):
    return conditioning.PromptEncoder, {"clip": None, "prompts": text, "negative": ""}


def sampler(**wrong):
    scene = {"person": PERSON, "speech": SPEECH, "prompts": PROMPTS}
    settings = {"seed": 0, "steps": 1, "cfg": 1.0, "shift": 7.0, "sampler_name": "euler", "scheduler": "published"}
    rest = {"speech_to_face": False, "filename_prefix": "CoInteract/ad"}
    return sampling.Sampler, {"model": "model", "vae": "vae", **scene, **settings, **rest, **wrong}


def one_clip(**wrong):
    inputs = {"person": PERSON, "speech": SPEECH, "prompts": PROMPTS, "clip": 0, "speech_to_face": False}
    return sampling.ClipConditioning, {**inputs, **wrong}


def decode_clip(shape):
    context = ClipContext(SPEECH.plan.clips[0], PERSON.latent)
    return sampling.DecodeClip, {"latent": {"samples": torch.zeros(shape)}, "clip": context, "vae": "vae"}


CASES = {
    "person of one pixel": (
        person(image=image(1, 1)),
        "image is 1x1 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "person of 20,000 pixels": (
        person(image=torch.zeros(1, 16, 1, 3).expand(1, 16, 20000, 3)),
        "image is 20000x16 pixels, but each side may have at most 16384; scale it down first.",
    ),
    "person with NaN": (person(image=image(value=math.nan)), f"image {NO_NUMBERS}"),
    "no person": (
        person(image=image(count=0)),
        "image holds no picture, but one is expected; wire an IMAGE with at least one.",
    ),
    "person with two channels": (
        person(image=image(channels=2)),
        "image has shape (1, 96, 64, 2), but pictures [count, height, width, 3 colours] are expected; wire an IMAGE.",
    ),
    "video too small": (
        person(width=10, height=96),
        "width x height is 10x96, but each side must be 64 to 4096 pixels; choose a preset such as 480x832.",
    ),
    "video too large": (
        person(width=480, height=8000),
        "width x height is 480x8000, but each side must be 64 to 4096 pixels; choose a preset such as 480x832.",
    ),
    "product of one pixel": (
        product(image=image(1, 96)),
        "image is 1x96 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "product with infinity": (product(image=image(value=math.inf)), f"image {NO_NUMBERS}"),
    "mask with three channels": (
        product(mask=torch.ones(1, 96, 64, 3)),
        "mask has shape (1, 96, 64, 3), but one channel [count, height, width] is expected; convert it with the "
        "Convert Image to Mask node.",
    ),
    "black mask": (
        product(mask=torch.zeros(1, 96, 64)),
        "mask is black everywhere, so nothing of the product would be left; paint the product white, invert the mask, "
        "or unwire it.",
    ),
    "mask of another picture": (
        product(mask=torch.ones(1, 64, 96)),
        "mask is 96x64, but the picture is 64x96; make the mask from the same picture.",
    ),
    "mask with NaN": (product(mask=torch.full((1, 96, 64), math.nan)), f"mask {NO_NUMBERS}"),
    "empty mask": (
        product(mask=torch.ones(0, 96, 64)),
        "mask has shape (0, 96, 64), but one channel [count, height, width] is expected; convert it with the Convert "
        "Image to Mask node.",
    ),
    "padding below 1": (
        product(padding=0.5),
        "padding is 0.5, but at least 1 is expected; 1.25 is the published value.",
    ),
    "unknown background": (
        product(background="pink"),
        "background is pink, but black, white, grey are known; choose one of them.",
    ),
    "unknown fit": (product(fit="zoom"), "fit is zoom, but stretch, crop, pad are known; choose one of them."),
    "empty audio": (
        speech(audio=audio(0)),
        "audio is empty, but speech is expected; load a file with sound.",
    ),
    "silent audio": (
        speech(audio=audio(value=0.0)),
        "audio is silent (its loudest sample is 0.000000 of 1), but speech is expected; check the recording or the "
        "channel.",
    ),
    "audio under 0.2 s": (
        speech(audio=audio(0.1)),
        "audio is 0.100 s long, but at least 0.2 s of speech is expected; use a longer recording.",
    ),
    "audio with NaN": (
        speech(audio=audio(value=math.nan)),
        "audio holds values that are not numbers (NaN or infinity), but samples from -1 to 1 are expected; export the "
        "recording again.",
    ),
    "audio with infinity": (
        speech(audio=audio(value=-math.inf)),
        "audio holds values that are not numbers (NaN or infinity), but samples from -1 to 1 are expected; export the "
        "recording again.",
    ),
    "audio without a rate": (
        speech(audio=audio(rate=0)),
        "audio has a sample rate of 0 Hz, but a rate above 0 is expected; load the file again.",
    ),
    "audio of another shape": (
        speech(audio={"waveform": torch.ones(16000), "sample_rate": 16000}),
        "audio has shape (16000,), but [count, channels, samples] is expected; wire an AUDIO.",
    ),
    "negative number of clips": (
        speech(max_clips=-1),
        "max_clips is -1, but at least 1 is expected; leave it at 0 to cover the speech.",
    ),
    "no pose": (
        pose(frames=None),
        "The Pose Encoder got neither video nor frames, but needs exactly one of them; wire one input.",
    ),
    "two poses": (
        pose(video="video"),
        "The Pose Encoder got both video and frames, but needs exactly one of them; wire one input.",
    ),
    "pose without a rate": (
        pose(fps=0.0),
        "fps is 0, but pose frames need a rate of at least 1; use the rate of the pose video.",
    ),
    "pose with a rate that is no number": (
        pose(fps=math.nan),
        "fps is nan, but pose frames need a rate of at least 1; use the rate of the pose video.",
    ),
    "empty pose": (
        pose(frames=image(count=0)),
        "pose holds no picture, but one is expected; wire an IMAGE with at least one.",
    ),
    "pose of one pixel": (
        pose(frames=image(1, 1, count=3)),
        "pose is 1x1 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "pose with NaN": (pose(frames=image(value=math.nan)), f"pose {NO_NUMBERS}"),
    "pose with NaN in a later frame": (
        pose(frames=torch.cat([image(), image(value=math.nan)])),
        f"pose frame 1 {NO_NUMBERS}",
    ),
    "empty prompt": (
        prompts(""),
        "prompts is empty, but at least one prompt is expected; describe what is seen in the video.",
    ),
    "blank prompts": (
        prompts(" \n---\n "),
        "prompts is empty, but at least one prompt is expected; describe what is seen in the video.",
    ),
    "one blank prompt": (
        prompts("a\n---\n---\nb"),
        "prompts has no words for prompt 2 of 3, but each needs some; write it or remove a --- line.",
    ),
    "product of another size": (
        sampler(product=ProductReference(torch.zeros(1, 16, 1, 8, 8), 1.0)),
        "product was prepared at 64x64, but the person reference is 64x96; wire the same Person Reference into both.",
    ),
    "pose of another size": (
        sampler(pose=Pose((), VideoSize(128, 96))),
        "pose was prepared at 128x96, but the person reference is 64x96; wire the same Person Reference into both.",
    ),
    "pose of another speech": (
        sampler(pose=Pose((torch.zeros(1, 16, 20, 12, 8),), SIZE)),
        "pose covers 1 clips, but the speech makes 2; wire the same Speech Encoder into the Pose Encoder and the "
        "sampler.",
    ),
    "no prompts wired": (
        sampler(prompts=replace(PROMPTS, positive=())),
        "prompts is empty, but at least one prompt is expected; describe what is seen in the video.",
    ),
    "file outside the output folder": (
        sampler(filename_prefix="../../ad"),
        "filename_prefix is “../../ad”, which does not name a file inside ComfyUI's output folder; use a name such as "
        "CoInteract/ad.",
    ),
    "absolute file": (
        sampler(filename_prefix="/ad"),
        "filename_prefix is “/ad”, which does not name a file inside ComfyUI's output folder; use a name such as "
        "CoInteract/ad.",
    ),
    "file without a name": (
        sampler(filename_prefix=""),
        "filename_prefix is “”, which does not name a file inside ComfyUI's output folder; use a name such as "
        "CoInteract/ad.",
    ),
    "clip that does not exist": (
        one_clip(clip=2),
        "clip is 2, but the speech makes clips 0 to 1; choose one of those.",
    ),
    "second clip without the first": (
        one_clip(clip=1),
        "clip is 1, but previous_frames is not wired; wire the frames of the clips before and a VAE.",
    ),
    "second clip without a VAE": (
        one_clip(clip=1, previous_frames=image(count=80)),
        "clip is 1, but vae is not wired; wire the frames of the clips before and a VAE.",
    ),
    "first clip with frames before it": (
        one_clip(previous_frames=image(count=80)),
        "previous_frames is wired, but clip is 0, which nothing precedes; unwire it or choose a later clip.",
    ),
    "too few frames before a clip": (
        one_clip(clip=1, vae="vae", previous_frames=image(count=72)),
        "previous_frames holds 72 frames, but a clip continues from the last 73; wire all images of the clip before.",
    ),
    "frames of another size before a clip": (
        one_clip(clip=1, vae="vae", previous_frames=image(96, 96, count=80)),
        "previous_frames is 96x96, but the person reference is 64x96; wire the images of the clip before.",
    ),
    "latent of another length": (
        decode_clip((1, 16, 21, 12, 8)),
        "latent has shape (1, 16, 21, 12, 8), but clip expects (1, 16, 20, 12, 8); sample the latent that Clip "
        "Conditioning gives.",
    ),
    "latent of a picture": (
        decode_clip((1, 4, 12, 8)),
        "latent has shape (1, 4, 12, 8), but clip expects (1, 16, 20, 12, 8); sample the latent that Clip "
        "Conditioning gives.",
    ),
    "a video that was moved": (
        (
            sampling.Decode,
            {"clips": FinishedVideo(Path("gone.mp4"), 80, (Path(__file__),), SPEECH), "all_frames": True},
        ),
        "The video was written to gone.mp4, but it is not there any more; put it back, or queue again and CoInteract "
        "Sampler makes it anew.",
    ),
    "frames the host has removed": (
        (
            sampling.Decode,
            {
                "clips": FinishedVideo(Path(__file__), 80, (Path("gone.safetensors"),), SPEECH),
                "all_frames": True,
            },
        ),
        f"The frames of {Path(__file__).name} are no longer in ComfyUI's temp folder; read the finished mp4 with Load "
        "Video instead.",
    ),
}


@pytest.fixture(scope="module")
def wired(host):
    """Models that are wired in these cases: a real VAE of the Wan 2.1 family and a real model, both tiny."""
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE

    from cointeract_pack.cointeract_core.verify.recordings.golden import read_golden
    from cointeract_pack.cointeract_core.verify.recordings.tiny import build_patcher

    inner = WanVAE(dim=4, z_dim=16, temperal_downsample=[False, True, True])
    golden = Path(__file__).resolve().parents[2] / "parity" / "golden" / "dit" / "dit_moe.safetensors"
    return {"vae": comfy.sd.VAE(sd=inner.state_dict()), "model": build_patcher(read_golden(golden))}


def run(node, inputs, wired):
    """Run a node the way the host does."""
    inputs = {name: wired.get(value, value) if isinstance(value, str) else value for name, value in inputs.items()}
    return node.PREPARE_CLASS_CLONE({}).execute(**inputs)


@pytest.mark.parametrize("case", CASES)
def test_sentence(case, wired):
    (node, inputs), sentence = CASES[case]
    written = sorted(Path(folder_paths.get_output_directory()).rglob("*.mp4"))
    with pytest.raises(CoInteractError) as refusal:
        run(node, inputs, wired)
    assert str(refusal.value) == sentence
    assert sorted(Path(folder_paths.get_output_directory()).rglob("*.mp4")) == written


def test_the_table_is_long_enough():
    assert len(CASES) >= 40


def test_transparent_pictures_are_laid_on_the_background(wired):
    picture = image(channels=4)
    picture[..., 3] = 0.0
    _, shown = run(*product(image=picture), wired).args[:2]
    assert shown.max() == 0.0
    _, shown = run(*product(image=picture, background="white"), wired).args[:2]
    assert shown.min() == 1.0
