"""A program that loads a model without the pack's own start, as `toy/generation.py` does."""

from __future__ import annotations

import pytest

from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.model.base_model import CoInteractModel
from cointeract_pack.cointeract_core.host.model.registration import unregistered

pytestmark = pytest.mark.usefixtures("host")


@pytest.mark.parametrize("adapter", [False, True])
def test_our_class_is_made_where_nobody_has_registered_it(adapter, tiny, put):
    """ComfyUI's own class would take such a file too, and leave the product reference out without a word."""
    base = put("diffusion_models", "base.safetensors", tiny.base())
    patches = put("model_patches", "checkpoint.safetensors", tiny.adapter()) if adapter else None
    with unregistered():
        loaded = load_cointeract(base, patches)
    assert isinstance(loaded.patcher.model, CoInteractModel)
