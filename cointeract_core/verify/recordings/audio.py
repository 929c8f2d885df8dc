"""Hidden states at 25 frames a second, and the windows of the clips."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...clips.plan import plan_video
from ...conditioning.speech import clip_window, features_at, features_at_25fps
from ...constants import AUDIO_FIELD_SAMPLES, AUDIO_LAYERS, AUDIO_STRIDE_SAMPLES, REFERENCE_AUDIO_WINDOW, VIDEO_FPS
from .golden import Check, Golden, Info, compare, holds


def check_audio(golden: Golden) -> Iterator[Check]:
    """Each case reads the first `T50` hidden states; `out.<case>.clip<n>` are the reference's windows."""
    for name, case in golden.info["cases"].items():
        features = features_at_25fps(golden["in.hidden_states"][:, : case["T50"]].float(), None)
        yield holds(f"{name}: number of features", features.shape[-1] == case["interpolated_frames"])
        whole = golden.get(f"mid.{name}.interpolated")
        if whole is not None:
            yield compare(f"{name}: features", features.transpose(1, 2), whole)
        plain = case["fps"] == VIDEO_FPS and case["start_idx"] == 0 and case["batch_frames"] == REFERENCE_AUDIO_WINDOW
        if plain:
            plan = plan_video(features.shape[-1], 1, reference_behaviour=True)
            yield holds(f"{name}: number of clips", len(plan.clips) == case["clips"])
        for clip in range(case["clips"]):
            if plain:
                window = clip_window(features, clip, reference_behaviour=True)
            else:
                window = features_at(features, _numbers(case, clip))
            yield compare(f"{name}: clip {clip}", window, golden[f"out.{name}.clip{clip}"])
            heard = int((window != 0).flatten(0, 2).any(0).sum())
            yield holds(f"{name}: features heard in clip {clip}", heard == case["nonzero_frames_per_clip"][clip])
    for name, speech in golden.info.get("training_selection", {}).items():
        states = (speech["samples"] - AUDIO_FIELD_SAMPLES) // AUDIO_STRIDE_SAMPLES + 1
        yield holds(f"{name}: hidden states", states == speech["T50"])
        frames = features_at_25fps(torch.zeros(AUDIO_LAYERS, states, 1), None).shape[-1]
        yield holds(f"{name}: features", frames == speech["frames25"])
        plan = plan_video(frames, 1, reference_behaviour=True)
        yield holds(f"{name}: clips", len(plan.clips) == speech["clips"])


def _numbers(case: Info, clip: int) -> Tensor:
    """Of the features nearest in time to a clip's frames, for a video of another rate or one that starts later."""
    count = case["batch_frames"]
    frames = torch.arange(clip * count, (clip + 1) * count, dtype=torch.float64)
    return (frames / float(case["fps"]) * VIDEO_FPS).round().long() + int(case["start_idx"])
