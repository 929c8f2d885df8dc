"""The patcher that pages weights, as the ComfyUI at hand has it: what of it runs without a graphics card."""

from __future__ import annotations

import comfy.model_management
import comfy.model_patcher
import pytest
import torch

from cointeract_pack.cointeract_core.host.model.parking import Parking, is_dynamic
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions
from cointeract_pack.tests.host.clip_runs import SETTINGS, sample, small_patcher

Paging = getattr(comfy.model_patcher, "ModelPatcherDynamic", None)
pytestmark = pytest.mark.skipif(Paging is None, reason="This ComfyUI has no patcher that pages weights.")


class Buffer:
    """Pinned memory of the card's driver, which is not here: always empty."""

    def __init__(self, *_sizes, **_how):
        self.size = 0

    def truncate(self, *_place, **_how):
        """Nothing is in it."""


@pytest.fixture
def paging(monkeypatch):
    """A small model in it: on a CPU it has no pages, but takes, refuses and does all else that it does on a card."""
    monkeypatch.setattr("comfy_aimdo.host_buffer.HostBuffer", Buffer)
    plain = small_patcher()
    cpu = torch.device("cpu")
    monkeypatch.setattr(comfy.model_management, "is_device_cpu", lambda _device: False)
    patcher = Paging(plain.model, cpu, torch.device("cpu:0"))
    assert is_dynamic(patcher)
    yield plain, patcher
    comfy.model_management.current_loaded_models.clear()


def test_a_clip_comes_out_the_same(paging, small_scene):
    plain, patcher = paging
    conditions = clip_conditions(small_scene, small_scene.speech.plan.clips[0], None)
    ours = prepared(patcher)
    assert not isinstance(ours, Parking)
    assert type(ours.clone()) is type(ours)
    found = sample(patcher, conditions, SETTINGS)
    comfy.model_management.current_loaded_models.clear()  # to unload, it asks for a card's pages
    assert torch.equal(found, sample(plain, conditions, SETTINGS))
