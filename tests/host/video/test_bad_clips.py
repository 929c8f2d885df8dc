"""Everything a user can wire wrongly into the nodes that sample and decode, and the exact sentence that answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cointeract_pack.cointeract_core.clips.parts import FinishedVideo, Pose, ProductReference
from cointeract_pack.cointeract_core.host.video.single_clip import ClipContext
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.nodes import sampling
from cointeract_pack.tests.host.video.refusals import PERSON, PROMPTS, SIZE, SPEECH, check_sentence, image


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


@pytest.mark.parametrize("case", CASES)
def test_sentence(case, wired_models):
    (node, inputs), sentence = CASES[case]
    check_sentence(node, inputs, sentence, wired_models)


def test_the_table_is_long_enough():
    assert len(CASES) >= 14
