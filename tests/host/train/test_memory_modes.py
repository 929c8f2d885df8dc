"""Every memory mode gives the gradients of the plain one, to the last bit."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import comfy.model_management
import comfy.ops
import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.forms import LayerWeights
from cointeract_pack.cointeract_core.host.train.session import outside_inference
from cointeract_pack.cointeract_core.training.settings.memory_modes import MEMORY_MODES, RECIPES
from cointeract_pack.cointeract_core.training.step.memory import Memory, memory_mode
from cointeract_pack.cointeract_core.training.step.step import draw, sample_generator, step_losses

CPU = torch.device("cpu")


def gradients(case, mode, visibility, device=CPU):
    """Loss and gradients of one step."""
    settings = case.settings()
    model, lora = case.model(settings)
    sample = case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=visibility != "off")
    assert drawn.sigma < 0.9, "above, the experts would have no gradient"
    with lora.attached(model.dit), memory_mode(model, mode, device, LayerWeights) as memory:
        losses = step_losses(
            model.dit,
            sample,
            drawn,
            settings.loss,
            visibility=visibility,
            to_model=lambda tensor: tensor.to(device),
            recompute=memory.recompute,
        )
        losses.total.backward()
    found = {name: parameter.grad for name, parameter in model.trainable().items() if parameter.grad is not None}
    return losses.values(), found


@pytest.fixture(scope="module", params=["asymmetric", "mutual", "off"])
def plain(request, training_case):
    return request.param, gradients(training_case, "none", request.param)


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="Whether a copy is written over too early shows on a card only."
)
@pytest.mark.parametrize("mode", [mode for mode in RECIPES if mode != "none"])
def test_on_a_card_gradients_are_those_of_the_plain_mode(mode, training_case):
    card = torch.device("cuda")
    _, expected = gradients(training_case, "none", "asymmetric", card)
    for _ in range(20):  # a race is not lost every time
        _, found = gradients(training_case, mode, "asymmetric", card)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name].cpu(), gradient.cpu(), rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("mode", [mode for mode in RECIPES if mode != "none"])
def test_gradients_are_those_of_the_plain_mode(mode, plain, training_case):
    visibility, (values, expected) = plain
    again, found = gradients(training_case, mode, visibility)
    assert again == values
    assert found.keys() == expected.keys()
    assert any(name.startswith("cointeract.experts") for name in found)
    assert any(name.startswith("cointeract.hoi") for name in found) == (visibility != "off")
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    assert sum(float(gradient.abs().sum()) for gradient in found.values()) > 0


def test_every_mode_has_a_recipe():
    assert tuple(RECIPES) == MEMORY_MODES == ("none", "80gb", "48gb", "32gb", "24gb")


def test_less_is_kept_for_the_backward_pass(training_case):
    """Bytes autograd holds on to after the forward: fewer with recomputation, and with offload on the CPU's side."""

    def kept(mode):
        settings = training_case.settings()
        model, lora = training_case.model(settings)
        sample = training_case.sample()
        drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
        own = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
        seen: dict[int, int] = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with (
            lora.attached(model.dit),
            memory_mode(model, mode, CPU, LayerWeights) as memory,
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            step_losses(
                model.dit,
                sample,
                drawn,
                settings.loss,
                visibility="asymmetric",
                to_model=lambda tensor: tensor,
                recompute=memory.recompute,
            )
        return sum(seen.values())

    assert kept("80gb") < kept("none") / 4


def test_streamed_blocks_and_trained_parameters_stay_on_the_cpu(training_case):
    """On the meta device as the computing one, so that what stays behind can be told apart."""
    settings = training_case.settings()
    model, _ = training_case.model(settings)
    Memory(RECIPES["32gb"], torch.device("meta"), model, LayerWeights).place()
    blocks = [next(block.parameters()).device.type for block in model.dit.blocks]
    assert blocks == ["meta", "meta", "cpu", "cpu", "cpu"]
    assert {parameter.device.type for parameter in model.trainable().values()} == {"cpu"}
    assert model.dit.patch_embedding.weight.device.type == "meta"


def test_processes_exchange_gradients_on_the_device(training_case):
    model, _ = training_case.model()
    with pytest.raises(InputError) as caught, memory_mode(model, "24gb", CPU, LayerWeights, processes=2):
        pass
    assert str(caught.value) == (
        "memory.mode is 24gb, but 2 processes train together, which exchange gradients on the device; use 48gb or "
        "80gb, or one process."
    )


@pytest.fixture
def fleeting(monkeypatch):
    """Copies of weights whose place is filled with other numbers as soon as they are handed back."""

    def watch(layers):
        lend, take_back = comfy.ops.cast_bias_weight, comfy.ops.uncast_bias_weight
        seen = SimpleNamespace(count=0)

        def copies(layer, *args, **kwargs):
            weight, bias, *rest = lend(layer, *args, **kwargs)
            if layer in layers:
                weight, bias = weight.clone(), None if bias is None else bias.clone()
                seen.count += 1
            return (weight, bias, *rest)

        def spoil(layer, weight, bias, *rest):
            take_back(layer, weight, bias, *rest)
            if layer in layers:
                weight.data.fill_(float("nan"))

        monkeypatch.setattr(comfy.ops, "cast_bias_weight", copies)
        monkeypatch.setattr(comfy.ops, "uncast_bias_weight", spoil)
        return seen

    return watch


@pytest.mark.parametrize("visibility", ["asymmetric", "mutual"])
def test_a_streamed_weight_is_fetched_again_in_the_backward_pass(visibility, training_case, fleeting):
    """A card fills the place of the forward's copy anew; no gradient may come from it."""
    _, expected = gradients(training_case, "none", visibility)
    settings = training_case.settings()
    model, lora = training_case.model(settings)
    for module in model.dit.modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True
    streamed = [layer for block in model.dit.blocks for layer in block.modules() if hasattr(layer, "in_features")]
    sample = training_case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with lora.attached(model.dit), memory_mode(model, "24gb", CPU, LayerWeights) as memory:
        copies = fleeting(set(streamed[len(streamed) // 2 :]))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            step = {"visibility": visibility, "to_model": lambda tensor: tensor, "recompute": memory.recompute}
            losses = step_losses(model.dit, sample, drawn, settings.loss, **step)
        assert copies.count > 20
        assert not any(tensor.isnan().any() for tensor in kept)
        losses.total.backward()
    found = {name: parameter.grad for name, parameter in model.trainable().items() if parameter.grad is not None}
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def test_weights_come_over_in_order_with_the_work(monkeypatch):
    monkeypatch.setattr(comfy.model_management, "NUM_STREAMS", 2)
    with outside_inference():
        assert comfy.model_management.get_offload_stream(CPU) is None
    assert comfy.model_management.NUM_STREAMS == 2


@pytest.mark.parametrize("mode", ["48gb", "24gb"])
def test_a_run_that_is_cut_leaves_no_memory_behind(mode, training_case):
    settings = training_case.settings()
    model, lora = training_case.model(settings)
    sample = training_case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    pieces = []

    def cut(memory):
        how = {"visibility": "mutual", "to_model": lambda tensor: tensor, "recompute": memory.recompute}
        losses = step_losses(model.dit, sample, drawn, settings.loss, **how)
        pieces.extend(weakref.ref(piece.untyped_storage()) for piece in memory._pinned._pieces)
        raise KeyboardInterrupt(str(losses.total.shape))

    try:
        with lora.attached(model.dit), memory_mode(model, mode, CPU, LayerWeights) as memory:
            cut(memory)
    except KeyboardInterrupt:  # as long as it is handled, the frames it went through are there
        gc.collect()
        left = [piece for piece in pieces if piece() is not None]
    assert pieces
    assert left == []
    assert all(parameter.requires_grad or not parameter.numel() for parameter in model.dit.parameters())
    assert not [layer for layer in model.dit.modules() if "forward" in vars(layer)]


def test_putting_everything_back_after_a_video_takes_no_memory(training_case):
    model, _ = training_case.model()
    memory = Memory(RECIPES["24gb"], CPU, model, LayerWeights)
    memory.place()
    before = {name: value.clone() for name, value in model.dit.state_dict().items()}
    taken = memory._pinned.allocated
    model.dit.to(torch.float64)  # the host has moved the model: other tensors lie in its parameters
    model.dit.to(torch.float32)
    memory.place()
    assert memory._pinned.allocated == taken
    for module, name, home in memory._streamed._homes:
        assert getattr(module, name).data_ptr() == home.data_ptr()
    assert all(torch.equal(value, before[name]) for name, value in model.dit.state_dict().items())
