"""Every memory mode gives the gradients of the plain one, to the last bit."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.training.memory import RECIPES, Memory, memory_mode
from cointeract_pack.cointeract_core.training.settings import MEMORY_MODES
from cointeract_pack.cointeract_core.training.step import draw, sample_generator, step_losses

CPU = torch.device("cpu")


def gradients(case, mode, visibility):
    """Loss and gradients of one step."""
    settings = case.settings()
    model, lora = case.model(settings)
    sample = case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=visibility != "off")
    assert drawn.sigma < 0.9, "above, the experts would have no gradient"
    with lora.attached(model.dit), memory_mode(model, mode, CPU) as memory:
        losses = step_losses(
            model.dit,
            sample,
            drawn,
            settings.loss,
            visibility=visibility,
            to_model=lambda tensor: tensor,
            recompute=memory.recompute,
        )
        losses.total.backward()
    found = {name: parameter.grad for name, parameter in model.trainable().items() if parameter.grad is not None}
    return losses.values(), found


@pytest.fixture(scope="module", params=["asymmetric", "mutual", "off"])
def plain(request, training_case):
    return request.param, gradients(training_case, "none", request.param)


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
    assert tuple(RECIPES) == MEMORY_MODES


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
            memory_mode(model, mode, CPU) as memory,
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
    Memory(RECIPES["32gb"], torch.device("meta"), model).place()
    blocks = [next(block.parameters()).device.type for block in model.dit.blocks]
    assert blocks == ["meta", "meta", "cpu", "cpu", "cpu"]
    assert {parameter.device.type for parameter in model.trainable().values()} == {"cpu"}
    assert model.dit.patch_embedding.weight.device.type == "meta"


def test_processes_exchange_gradients_on_the_device(training_case):
    model, _ = training_case.model()
    with pytest.raises(InputError) as caught, memory_mode(model, "24gb", CPU, processes=2):
        pass
    assert str(caught.value) == (
        "memory.mode is 24gb, but 2 processes train together, which exchange gradients on the device; use 48gb or "
        "80gb, or one process."
    )
