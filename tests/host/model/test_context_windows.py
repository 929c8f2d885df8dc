"""ComfyUI's context window nodes with our MODEL: each window hears and sees its own part of the clip."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import comfy.context_windows as windows
import pytest
import torch

from cointeract_pack.cointeract_core.clips.parts import Pose
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.model import dit
from cointeract_pack.cointeract_core.host.model.context_windows import in_window
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.cointeract_core.model.inputs import ClipInputs
from cointeract_pack.tests.host.clip_runs import SETTINGS, sample, small_patcher

LENGTH, OVERLAP = 11, 3


def handler(dim=2, **more):
    """As the nodes make it."""
    given = {"context_length": LENGTH, "context_overlap": OVERLAP, "context_stride": 1, "closed_loop": False, **more}
    schedule = given.pop("schedule", "standard_static")
    return windows.IndexListContextHandler(
        context_schedule=windows.get_matching_context_schedule(schedule),
        fuse_method=windows.get_matching_fuse_method("pyramid"),
        dim=dim,
        **given,
    )


@pytest.fixture
def heard(monkeypatch):
    """What every forward was given, in order: the conditions and the latents."""
    seen = []
    own = dit.prepare_clip

    def prepare(model, latents, clip, *rest):
        seen.append((clip, latents.shape[2]))
        return own(model, latents, clip, *rest)

    monkeypatch.setattr(dit, "prepare_clip", prepare)
    return seen


@pytest.fixture
def scene(small_scene):
    """Two clips of speech, with a pose that says its latent's number."""
    numbers = torch.arange(20.0).view(1, 1, 20, 1, 1).expand(1, 16, 20, 8, 8)
    return replace(small_scene, pose=Pose((numbers, numbers), small_scene.person.size))


def run(scene, settings, chosen, motion=None):
    patcher = small_patcher()
    conditions = clip_conditions(scene, scene.speech.plan.clips[0], motion)
    conditions.positive[0][1]["audio_embed"] = torch.arange(80.0).expand(1, 25, 16, 80) / 80
    latents = sample(patcher, conditions, settings, lambda model: model.model_options.update(context_handler=chosen))
    return patcher, latents


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [list(range(11)), list(range(8, 19)), list(range(9, 20))]),
        ({"schedule": "batched"}, [list(range(11)), list(range(11, 20))]),
    ],
)
def test_each_window_hears_and_sees_its_own_part(more, expected, scene, heard):
    motion = torch.zeros(1, 16, 19, 8, 8)
    chosen_windows = handler(**more)
    if getattr(chosen_windows, "causal_window_fix", False):  # newer hosts put a latent in front and throw it away
        expected = [[chosen[0] - 1, *chosen] if chosen[0] else chosen for chosen in expected]
    patcher, latents = run(scene, replace(SETTINGS, steps=1, cfg=1.0), chosen_windows, motion)
    assert latents.shape == (1, 16, 20, 8, 8)
    assert [frames for _, frames in heard] == [len(chosen) for chosen in expected]
    scale = patcher.model.process_latent_in
    for (clip, _), chosen in zip(heard, expected, strict=True):
        frames = [4 * latent + part for latent in chosen for part in range(4)]
        assert (clip.audio[0, 0, 0] * 80).round().tolist() == frames
        whole = scale(torch.arange(20.0).view(1, 1, 20, 1, 1).expand(1, 16, 20, 1, 1))
        torch.testing.assert_close(clip.pose[..., :1, :1], whole[:, :, chosen])
        assert clip.motion.shape[2] == 19
        assert clip.person.shape[2] == clip.product.shape[2] == 1


def test_without_a_window_nothing_is_cut(scene, heard):
    run(scene, replace(SETTINGS, steps=1, cfg=1.0), handler(context_length=20))
    ((clip, frames),) = heard
    assert frames == 20
    assert clip.audio.shape[-1] >= 80


@pytest.mark.parametrize("dim", [0, 1, 3, 4])
def test_windows_over_anything_else_are_refused_before_sampling(dim, scene, heard):
    with pytest.raises(InputError, match=f"set to dim {dim}, but CoInteract takes them over time only, which is dim 2"):
        run(scene, SETTINGS, handler(dim, context_length=4, context_overlap=1))
    assert heard == []


def test_a_window_with_a_frame_before_it_takes_its_speech_along():
    """Newer ComfyUI may put one in front, to be thrown away."""
    clip = ClipInputs(context=torch.zeros(1), audio=torch.arange(80.0).view(1, 1, 1, 80))
    window = SimpleNamespace(dim=2, index_list=[5, 6], causal_anchor_index=4)
    cut = in_window(clip, torch.zeros(1, 16, 3, 8, 8), {"context_window": window})
    assert cut.audio.flatten().tolist() == list(range(16, 28))


def test_a_mask_of_tokens_is_cut_too():
    mask = torch.arange(20).repeat_interleave(16).view(1, 320)
    clip = ClipInputs(context=torch.zeros(1), face_mask=mask)
    window = SimpleNamespace(dim=2, index_list=[3, 19])
    cut = in_window(clip, torch.zeros(1, 16, 2, 8, 8), {"context_window": window})
    assert cut.face_mask.tolist() == [[3] * 16 + [19] * 16]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (SimpleNamespace(dim=2), "names 0 latents, but 2 arrived"),
        (SimpleNamespace(dim=2, index_list=[1, 2, 3]), "names 3 latents, but 2 arrived"),
        (SimpleNamespace(dim=2, index_list=[19, 20]), "needs 84 frames of speech, but the clip has 80"),
        (SimpleNamespace(dim=4, index_list=[1, 2]), "set to dim 4"),
    ],
)
def test_windows_of_another_kind_are_refused(window, said):
    clip = ClipInputs(context=torch.zeros(1), audio=torch.zeros(1, 1, 1, 80))
    with pytest.raises(InputError, match=said):
        in_window(clip, torch.zeros(1, 16, 2, 8, 8), {"context_window": window})
