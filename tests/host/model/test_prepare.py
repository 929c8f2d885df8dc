"""A MODEL is prepared once: what arrives ready goes through as it is, whichever node has cloned it on the way."""

from __future__ import annotations

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from cointeract_pack.cointeract_core.host.model.clip_cache import WRAPPER_KEY
from cointeract_pack.cointeract_core.host.model.parking import KeepsConstants, Parking
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.cointeract_core.host.video.sampling import with_shift
from cointeract_pack.tests.host.clip_runs import small_patcher
from cointeract_pack.tests.host.stand_ins import PagingPatcher

WEIGHT = "diffusion_model.blocks.0.self_attn.q.weight"


@pytest.fixture
def patcher():
    """From one of the host's own loaders."""
    return small_patcher()


def run_caches(patcher):
    return patcher.get_wrappers(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY)


def test_the_hosts_own_stays_as_it_is(patcher):
    ready = prepared(patcher)
    assert isinstance(ready, Parking)
    assert type(patcher) is ModelPatcher
    assert ready.model is patcher.model
    assert (len(run_caches(ready)), len(run_caches(patcher))) == (1, 0)


def test_a_prepared_one_goes_through(patcher):
    ready = prepared(patcher)
    assert prepared(ready) is ready


def test_clones_of_a_prepared_one_go_through(patcher):
    """Nodes clone: here one with a LoRA, and one that shifts the schedule."""
    changed = prepared(patcher).clone()
    changed.add_patches({WEIGHT: ("diff", (torch.ones(changed.get_model_object(WEIGHT).shape),))}, 1.0)
    for clone in (changed, with_shift(changed, 5.0)):
        assert prepared(clone) is clone
        assert len(run_caches(clone)) == 1


def test_paging_ones_go_through_too(patcher):
    ready = prepared(PagingPatcher(patcher.model, patcher.load_device, patcher.offload_device))
    assert isinstance(ready, KeepsConstants)
    assert not isinstance(ready, Parking)
    assert prepared(ready) is ready
    assert prepared(ready.clone()).is_dynamic()


def test_what_a_node_has_taken_off_comes_back_once(patcher):
    """A node that makes a patcher of its own kind, and one that takes our cache away."""
    stock = prepared(patcher).clone()
    stock.__class__ = ModelPatcher
    bare = prepared(patcher).clone()
    bare.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, WRAPPER_KEY)
    for changed in (stock, bare):
        again = prepared(changed)
        assert again is not changed
        assert isinstance(again, Parking)
        assert len(run_caches(again)) == 1


def test_the_shift_alone_prepares_nothing(patcher):
    shifted = with_shift(patcher, 5.0)
    assert type(shifted) is ModelPatcher
    assert run_caches(shifted) == []
    assert shifted.get_model_object("model_sampling").shift == 5.0
