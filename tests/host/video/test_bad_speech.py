"""Every speech, pose and prompt a user can wire wrongly, and the exact sentence that answers."""

from __future__ import annotations

import math

import pytest
import torch

from cointeract_pack.nodes import conditioning
from cointeract_pack.tests.host.video.refusals import NO_NUMBERS, PERSON, SPEECH, check_sentence, image


def audio(seconds=1.0, value=0.1, rate=16000):
    return {"waveform": torch.full((1, 1, int(seconds * 16000)), value), "sample_rate": rate}


def speech(**wrong):
    settings = {"max_clips": 0, "reference_behaviour": False}
    return conditioning.SpeechEncoder, {"audio": audio(), "audio_encoder": None, **settings, **wrong}


def pose(**wrong):
    inputs = {"person": PERSON, "speech": SPEECH, "vae": "vae", "fps": 25.0, "frames": image(count=5)}
    return conditioning.PoseEncoder, {**inputs, **wrong}


def prompts(text):
    return conditioning.PromptEncoder, {"clip": None, "prompts": text, "negative": ""}


CASES = {
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
}


@pytest.mark.parametrize("case", CASES)
def test_sentence(case, wired_models):
    (node, inputs), sentence = CASES[case]
    check_sentence(node, inputs, sentence, wired_models)


def test_the_table_is_long_enough():
    assert len(CASES) >= 14
