"""The check of the ComfyUI at hand: right where all is well, and a sentence for each thing that is not."""

from __future__ import annotations

import comfy.ldm.wan.vae
import pytest

from cointeract_pack.cointeract_core.host import version
from cointeract_pack.cointeract_core.host.model import registration
from cointeract_pack.cointeract_core.verify.self_check import Finding, check_comfyui, describe

MODELS, DECODING, CLIP = range(3)


@pytest.fixture(autouse=True)
def told_afresh():
    version.warn_of_new_host.cache_clear()
    yield
    version.warn_of_new_host.cache_clear()


def test_all_is_well():
    assert [finding.differs for finding in check_comfyui()] == ["", "", ""]


def test_an_entry_that_stops_other_models_is_named(monkeypatch):
    def old_form(cls, unet_config, state_dict=None):
        raise TypeError("matches() got an unexpected keyword argument")

    monkeypatch.setattr(registration.CoInteractConfig, "matches", classmethod(old_form))
    assert "is taken for TypeError instead of" in check_comfyui()[MODELS].differs


def test_a_decoder_that_gives_another_picture_is_named(monkeypatch):
    own = comfy.ldm.wan.vae.WanVAE.decode
    monkeypatch.setattr(comfy.ldm.wan.vae.WanVAE, "decode", lambda self, z: own(self, z).flip(-1))
    assert "the decoded picture is off by" in check_comfyui()[DECODING].differs


def test_another_forward_is_named(monkeypatch):
    from cointeract_pack.cointeract_core.model import block

    monkeypatch.setattr(block, "add_gated", lambda main, update, *_rows: main + update)
    assert "the clip is off by" in check_comfyui()[CLIP].differs


def test_a_host_of_another_form_is_one_sentence(monkeypatch):
    import comfy.samplers

    monkeypatch.delattr(comfy.samplers, "sampler_object")
    findings = check_comfyui()
    assert findings[CLIP].differs.startswith("AttributeError: ")
    sentence = describe(findings)
    assert sentence.startswith("CoInteract does not work on ComfyUI ")
    assert sentence.endswith("; update CoInteract.")
    assert "\n" not in sentence


def test_what_is_said_where_all_is_well(monkeypatch):
    monkeypatch.setattr(version, "running_host", lambda: "9.9.9")
    assert describe([Finding("one"), Finding("two")]) == "CoInteract works on ComfyUI 9.9.9 as it should: 2 checks."


@pytest.mark.parametrize(("running", "told"), [("99.0.0", 1), ("0.33.0", 0), ("0.3.75", 0), ("nightly", 0)])
def test_a_newer_host_is_told_once(running, told, monkeypatch, caplog):
    monkeypatch.setattr(version, "running_host", lambda: running)
    for _ in range(3):
        version.warn_of_new_host()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == told
    assert all(
        f"ComfyUI {running} is newer than 0.33.0, the newest that CoInteract was run on" in line for line in lines
    )
