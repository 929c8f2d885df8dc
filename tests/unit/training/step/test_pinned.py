"""Page-locked memory: whole powers of two, dealt out without overlap, and given back."""

from __future__ import annotations

import gc
import random
import weakref

import pytest
import torch

from cointeract_pack.cointeract_core.training.step import pinned
from cointeract_pack.cointeract_core.training.step.pinned import Aside, PinnedMemory, give_back, power_of_two

CPU, META = torch.device("cpu"), torch.device("meta")
BETWEEN = [(1, 31_688, 5120), (1, 27_000, 5120)] * 40  # what stands between the blocks of the 14B model
ONE_BLOCK = [(5120, 5120)] * 8 + [(13_824, 5120), (5120, 13_824)]


def counted(sizes):
    """Memory whose pieces are counted and not there."""

    def allocate(size):
        sizes.append(size)
        return torch.empty(size, dtype=torch.uint8, device=META)

    return PinnedMemory(META, allocate)


@pytest.mark.parametrize(
    ("shapes", "dtype", "largest"),
    [
        ([(3,), *BETWEEN[::2]], torch.bfloat16, 15.6e9),
        (BETWEEN, torch.bfloat16, 26.0e9),
        (ONE_BLOCK * 36, torch.bfloat16, 28.0e9),
        (ONE_BLOCK * 36, torch.float8_e4m3fn, 15.1e9),
        (ONE_BLOCK * 20, torch.float8_e4m3fn, 8.6e9),
    ],
)
def test_what_pytorch_takes_is_little_more_than_what_is_kept(shapes, dtype, largest):
    sizes = []
    memory = counted(sizes)
    kept = [memory.lend(torch.empty(shape, dtype=dtype, device=META)) for shape in shapes]
    wanted = sum(lent.tensor.nbytes for lent in kept)
    taken = sum(map(power_of_two, sizes))
    assert memory.allocated == sum(sizes) == taken
    assert wanted <= taken <= largest
    assert sum(power_of_two(lent.tensor.nbytes) for lent in kept) > 1.5 * wanted  # one by one


def test_a_second_step_takes_nothing_more():
    sizes = []
    memory = counted(sizes)
    for _ in range(3):
        kept = [memory.lend(torch.empty(shape, dtype=torch.bfloat16, device=META)) for shape in BETWEEN]
        first = len(sizes)
        while kept:
            kept.pop()
    assert first == len(sizes)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_lies_over_anything(seed):
    """Tensors of any size and kind, put and given back in any order."""
    chance, memory, held = random.Random(seed), PinnedMemory(CPU), []
    for number in range(300):
        if held and chance.random() < 0.45:
            lent, own = held.pop(chance.randrange(len(held)))
            assert torch.equal(lent.fetch(), own)
            continue
        shape = [chance.randrange(40) for _ in range(chance.randrange(4))]
        dtype = chance.choice([torch.float32, torch.bfloat16, torch.uint8, torch.bool])
        own = (torch.randn(shape, generator=torch.Generator().manual_seed(number)) * 9).abs().to(dtype)
        held.append((memory.lend(own), own.clone()))
    assert all(torch.equal(lent.fetch(), own) and lent.fetch().dtype == own.dtype for lent, own in held)
    assert memory.keep(torch.tensor(3.5)).item() == 3.5


def test_what_autograd_keeps_waits_there_until_it_is_done_with():
    memory = PinnedMemory(CPU)
    x = torch.randn(64, 32, requires_grad=True)
    for _ in range(2):
        with Aside(memory):
            y = x.sin() * x.cos()
        x.data.add_(0)  # the graph has copies of its own
        y.sum().backward()
        del y
        gc.collect()
        assert [span for spans in memory._free for span in spans] == [(0, len(piece)) for piece in memory._pieces]
    torch.testing.assert_close(x.grad, 2 * (2 * x).cos())


def test_closing_lets_go(monkeypatch):
    memory = PinnedMemory(CPU)
    lent = memory.lend(torch.ones(4))
    piece = weakref.ref(memory._pieces[0].untyped_storage())
    memory.close()
    assert lent.fetch().tolist() == [1.0] * 4
    del lent
    gc.collect()
    assert piece() is None
    assert memory.allocated == 0
    calls = []
    monkeypatch.setattr(pinned.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(pinned.torch._C, "_host_emptyCache", lambda: calls.append(1), raising=False)
    give_back()
    assert calls == [1]
    monkeypatch.delattr(pinned.torch._C, "_host_emptyCache")
    give_back()
