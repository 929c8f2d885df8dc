"""The running average: each tensor's own, wherever it lies, to the last bit."""

from __future__ import annotations

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
