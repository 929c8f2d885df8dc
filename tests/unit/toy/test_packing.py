"""Trained weights, without what is zero, come back as they were."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from cointeract_pack.toy import packing


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    noise = {
        "kernel": (4, 3, 3, 2, 2), "late": (4, 3, 3, 2, 2), "still": (4, 3, 1, 2, 2), "matrix": (5, 4), "bias": (4,),
        "audio_injector.injector.1.q.weight": (2, 2), "audio_injector.injector.2.q.weight": (2, 2),
    }  # fmt: skip
    tensors = {name: torch.randn(shape, generator=generator).half() for name, shape in noise.items()}
    tensors["late"][:, :, :2] = 0
    tensors["zero"] = torch.zeros(7).half()
    return tensors


def shapes_of(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_only_what_holds_something_is_kept(state):
    kept = packing.packed(state)
    assert state.keys() - kept.keys() == {"zero", "audio_injector.injector.2.q.weight"}
    assert kept["late"].shape == (4, 3, 1, 2, 2)
    assert kept["kernel"].shape == (4, 3, 3, 2, 2)


def test_it_comes_back(state):
    back = packing.unpacked(packing.packed(state), shapes_of(state))
    state["audio_injector.injector.2.q.weight"].zero_()  # nothing reaches it
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name


def test_what_the_class_does_not_know_stays(state):
    known = shapes_of(state)
    del known["matrix"]
    assert torch.equal(packing.unpacked(packing.packed(state), known)["matrix"], state["matrix"])


def test_another_shape_is_one_sentence(state):
    with pytest.raises(ValueError, match=r"^matrix is \[5, 4\], but ComfyUI's class has \[5, 3\]; pack a model"):
        packing.unpacked(packing.packed(state), shapes_of(state) | {"matrix": (5, 3)})


def test_the_command_leaves_a_smaller_file(state, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "WEIGHTS", tmp_path)
    wide = {name: tensor.float() for name, tensor in state.items()}
    save_file(wide, tmp_path / "trained.safetensors")
    assert packing.main([str(tmp_path / "trained.safetensors"), "toy.safetensors"]) == 0
    found = load_file(tmp_path / "toy.safetensors")
    assert {tensor.dtype for tensor in found.values()} == {torch.float16}
    assert {path.name for path in tmp_path.iterdir()} == {"trained.safetensors", "toy.safetensors"}
