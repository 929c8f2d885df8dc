"""The running average: each tensor's own, wherever it lies, to the last bit."""

from __future__ import annotations

import pytest
import torch

from cointeract_pack.cointeract_core.training.run.ema import AdapterEma

SHAPES = {"matrix": (7, 5), "bias": (5,), "scalar": (), "half": (3, 2)}


def parameters(generator):
    made = {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}
    made["half"] = torch.nn.Parameter(made["half"].detach().to(torch.bfloat16))  # a copy has to be made of it
    return made


def test_all_at_once_is_each_by_itself():
    generator = torch.Generator().manual_seed(0)
    average, expected = AdapterEma(0.9), {}
    for _ in range(5):
        now = parameters(generator)
        average.update(now)
        for name, parameter in now.items():
            value = parameter.detach().float()
            if name in expected:
                expected[name].lerp_(value, 1.0 - 0.9)
            else:
                expected[name] = value.clone()
    assert average.tensors().keys() == expected.keys()
    assert [name for name in expected if not torch.equal(average.tensors()[name], expected[name])] == []


def test_the_parameters_are_left_alone_and_not_held():
    now = parameters(torch.Generator().manual_seed(1))
    before = {name: parameter.detach().clone() for name, parameter in now.items()}
    average = AdapterEma(0.5)
    average.update(now)
    average.update(now)
    assert all(torch.equal(now[name], before[name]) for name in now)
    with torch.no_grad():
        now["matrix"].zero_()
    assert torch.equal(average.tensors()["matrix"], before["matrix"])


def test_an_average_is_what_its_decay_says():
    average = AdapterEma(0.75)
    for value in (0.0, 1.0, 1.0):
        average.update({"a": torch.full((2,), value)})
    assert average.tensors()["a"].tolist() == [1 - 0.75**2] * 2


@pytest.mark.parametrize(("steps", "most"), [(10, 0.001), (100, 0.001), (1000, 0.001)])
def test_an_average_forgets_what_a_run_began_with(steps, most):
    """With its last decay alone it would be 0.99, 0.9 and 0.37 of it."""
    average = AdapterEma(0.999)
    average.update({"a": torch.ones(2, dtype=torch.float64)})
    for step in range(steps):
        average.update({"a": torch.zeros(2)}, step)
    assert 0 <= average.tensors()["a"].max() < most


def test_an_average_of_a_long_run_is_what_its_decay_says():
    average = AdapterEma(0.75)
    average.update({"a": torch.zeros(2)})
    average.update({"a": torch.ones(2)}, 1000)
    assert average.tensors()["a"].tolist() == [0.25] * 2


def test_an_average_is_kept_in_float32_and_beside_the_parameters():
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    average = AdapterEma(0.999)
    average.update({"a": parameter})
    with torch.no_grad():
        parameter.add_(1)
    average.update({"a": parameter})
    held = average.tensors()["a"]
    assert (held.dtype, held.requires_grad) == (torch.float32, False)
    assert held.tolist() == pytest.approx([1.001] * 3)
    assert parameter.tolist() == [2.0] * 3
