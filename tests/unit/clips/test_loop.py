"""The loop over clips: who is called how often, and with which frames."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.clips.loop import run_clips
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.constants import CLIP_FRAMES, MOTION_FRAMES, MOTION_LATENTS

PERSON = torch.zeros(1, 16, 1, 2, 2)


class Recorder:
    """A sampler, decoder and encoder whose frames say where they come from."""

    def __init__(self) -> None:
        self.sampled, self.decoded, self.encoded = [], [], []

    def sample(self, clip, motion):
        self.sampled.append((clip.index, motion))
        return torch.full((1, 16, 20, 2, 2), float(clip.index + 1))

    def decode(self, latents, wanted):
        self.decoded.append(latents)
        frames = 4 * latents.shape[2] - 3
        shade = (latents[0, 0, -1, 0, 0] - 1) * CLIP_FRAMES
        # the last frame of every decode is the last frame of its clip
        shades = (shade + torch.arange(frames) - (frames - CLIP_FRAMES)) / 1000
        return shades.view(-1, 1, 1, 1).expand(-1, 4, 4, 3)[-wanted:]

    def encode(self, frames):
        self.encoded.append(frames)
        return torch.full((1, 16, MOTION_LATENTS, 2, 2), -1.0)

    def run(self, plan, **how):
        return list(run_clips(plan, PERSON, sample=self.sample, decode=self.decode, encode=self.encode, **how))


@pytest.mark.parametrize(("frames", "clips"), [(1, 1), (80, 1), (81, 2), (170, 3), (8000, 100)])
def test_output_frames_run_on_without_gap_or_drift(frames, clips):
    recorder = Recorder()
    finished = recorder.run(plan_video(frames, 1))
    shown = torch.cat([clip.frames[:, 0, 0, 0] for clip in finished])
    assert len(finished) == clips
    torch.testing.assert_close(shown * 1000, torch.arange(frames, dtype=torch.float32), rtol=0, atol=1e-2)


def test_nothing_is_decoded_or_encoded_twice_and_no_blank_motion_is():
    recorder = Recorder()
    recorder.run(plan_video(230, 1))
    assert len(recorder.decoded) == 3
    assert len(recorder.encoded) == 2  # not before the first clip, not after the last
    assert [latents.shape[2] for latents in recorder.decoded] == [21, 39, 39]
    assert recorder.sampled[0][1] is None
    assert all(motion.shape[2] == MOTION_LATENTS for _, motion in recorder.sampled[1:])


def test_motion_frames_are_the_last_ones_in_float():
    recorder = Recorder()
    finished = recorder.run(plan_video(160, 1))
    assert torch.equal(recorder.encoded[0], finished[0].frames[-MOTION_FRAMES:])
    assert not torch.equal(recorder.encoded[0] * 255, (recorder.encoded[0] * 255).floor())


def test_reference_behaviour_hands_over_truncated_bytes():
    recorder = Recorder()
    finished = recorder.run(plan_video(160, 1), eight_bit_hand_over=True)
    levels = recorder.encoded[0] * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    torch.testing.assert_close(finished[0].frames[1, 0, 0, 0] * 255, torch.tensor(0.0))  # 0.255 is cut, not rounded up


def test_the_first_clip_is_decoded_behind_the_person_and_later_ones_behind_their_motion():
    recorder = Recorder()
    recorder.run(plan_video(160, 1))
    assert torch.equal(recorder.decoded[0][:, :, :1], PERSON)
    assert bool((recorder.decoded[1][:, :, :MOTION_LATENTS] == -1).all())
