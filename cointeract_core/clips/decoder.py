"""Run a causal video decoder on the end of its latents, and no more of it than the last frames need.

A later clip is decoded behind its 19 motion latents, of which nothing is kept.  The decoder is causal and works step by
step: the wide layers near the picture look a few frames back only, so they need not run on the oldest motion latents at
all.  Where each layer has to begin follows from its kernels; what is kept is the same bit by bit.

A decoder is known by its parts, not by its name: convolutions that take the frames before as an argument, blocks of a
`residual` path and a `shortcut`, and layers that double the frames by a `time_conv`.  What each layer remembers is kept
here, since what a decoder's own program keeps differs from version to version.  Whether all this gives the same as that
program is for the caller to try (`host/video/decode.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn

from ..constants import TEMPORAL_STRIDE
from ..shapes import video_frames

VIDEO_DIMS = 3  # of a kernel that reaches through time
PARTS = ("conv1", "middle", "upsamples", "head")  # of a decoder, in order


class Residual(Protocol):
    """`comfy.ldm.wan.vae.ResidualBlock`, by its parts."""

    residual: Iterable[nn.Module]
    shortcut: nn.Module


class Doubling(Protocol):
    """`comfy.ldm.wan.vae.Resample` that makes two frames of one, by its part."""

    time_conv: nn.Module


@dataclass(frozen=True, slots=True)
class Pace:
    """How a decoder's own program walks through time; the same steps give the same bits.

    Attributes:
        latents: of a step; the first one always takes a single latent.
        frames: that pass its last layer at once; after the frames have doubled, a step is cut to so many.
    """

    latents: int
    frames: int

    def steps(self, latents: int) -> Iterator[tuple[int, int]]:
        """First latent of each step and the one behind its last."""
        yield 0, 1
        for start in range(1, latents, self.latents):
            yield start, min(start + self.latents, latents)


@dataclass(slots=True)
class Layer:
    """A layer of the decoder, the first latent it has to run on, and the frames its convolutions remember."""

    module: nn.Module
    begins: int
    memory: dict[int, Tensor] = field(default_factory=dict)
    past_first: bool = False

    @property
    def doubles(self) -> bool:
        """Whether it makes two frames of one; of the very first it makes one."""
        return _doubles(self.module)

    def __call__(self, x: Tensor) -> Tensor:
        """The layer on a step's frames `[B, C, F, H, W]`, after those before."""
        module = self.module
        if _is_residual(module):
            out = x
            for part in module.residual:
                out = self._apply(part, out)
            shortcut: Tensor = module.shortcut(x)
            return out + shortcut
        if _doubles(module):
            x = self._double(module.time_conv, x)
            run: Callable[[Tensor], Tensor] = self.module
            return run(x)  # without a memory of its own it only enlarges the frames
        return self._apply(self.module, x)

    def _apply(self, module: nn.Module, x: Tensor) -> Tensor:
        run: Callable[[Tensor], Tensor] = module
        return self._convolve(module, x) if _reach(module) else run(x)

    def _double(self, time_conv: nn.Module, x: Tensor) -> Tensor:
        if not self.past_first:
            self.past_first = True
            return x
        pairs: Tensor = self._convolve(time_conv, x).unflatten(1, (2, -1))  # [B, 2, C, F, H, W]
        return pairs.movedim(1, 3).flatten(2, 3)

    def _convolve(self, convolution: nn.Module, x: Tensor) -> Tensor:
        before, reach = self.memory.get(id(convolution)), _reach(convolution)
        seen = x[:, :, -reach:]
        if x.shape[2] > reach:
            seen = seen.clone()  # else all of x stays for the sake of its end
        elif x.shape[2] < reach and before is not None:
            seen = torch.cat([before[:, :, x.shape[2] - reach :], seen], dim=2)
        self.memory[id(convolution)] = seen
        run: Callable[[Tensor, Tensor | None], Tensor] = convolution
        return run(x, before)


def modules_of(decoder: object) -> list[nn.Module] | None:
    """Layers of a decoder in order, or None where it is of another build than is known here."""
    if any(getattr(decoder, name, None) is None for name in PARTS):
        return None
    first, *groups = (getattr(decoder, name) for name in PARTS)
    modules: list[nn.Module] = [first, *(module for group in groups for module in group)]
    return modules if all(map(_is_known, modules)) and _reach(modules[-1]) else None


def _is_known(module: nn.Module) -> bool:
    """Whether every kernel that reaches through time is at a place where it is looked for."""
    if _is_residual(module):
        places = [*module.residual, module.shortcut]
    elif _doubles(module):
        places = [module.time_conv]
    else:
        places = [module]
    found = {id(part) for part in places if _reach(part)}
    return found == {id(part) for part in module.modules() if _reach(part)}


def _is_residual(module: nn.Module) -> TypeGuard[Residual]:
    return hasattr(module, "residual") and hasattr(module, "shortcut")


def _doubles(module: nn.Module) -> TypeGuard[Doubling]:
    return "up" in str(getattr(module, "mode", "")) and hasattr(module, "time_conv")


def _reach(module: nn.Module) -> int:
    """Frames a convolution looks back, at the rate of its input; 0 for whatever sees one frame at a time."""
    kernel = getattr(module, "kernel_size", ())
    return kernel[0] - 1 if isinstance(kernel, tuple) and len(kernel) == VIDEO_DIMS else 0


def _reach_of_layer(module: nn.Module) -> int:
    if _is_residual(module):
        return sum(map(_reach, module.residual))
    return _reach(module.time_conv) if _doubles(module) else _reach(module)


def make_layers(modules: list[nn.Module], latents: int, frames: int) -> list[Layer]:
    """Layers in order, each with the first latent it has to run on for the last `frames` frames to be right."""
    needed, rate, layers = video_frames(latents) - frames, TEMPORAL_STRIDE, []
    for module in reversed(modules):
        if _doubles(module):
            needed, rate = (needed + 1) // 2, rate // 2
        needed -= _reach_of_layer(module)
        begins = 0 if needed <= 0 else (needed - 1) // rate + 1
        layers.append(Layer(module, begins, past_first=begins > 0))
    return layers[::-1]


def decode_end(
    modules: list[nn.Module], moments: Tensor, frames: int, pace: Pace, before_step: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, Tensor]]:
    """The number of a frame, and it with those that follow it `[B, 3, F, H, W]`: at least the last `frames` ones.

    Args:
        modules: from `modules_of`, on the device and in the precision of `moments`.
        moments: what the decoder reads, `[B, C, T, h, w]`.
        frames: how many of the ``4 T - 3`` are wanted.
        pace: as the decoder's own program walks.
        before_step: called before each step; may raise.
    """
    layers = make_layers(modules, moments.shape[2], frames)
    for start, stop in pace.steps(moments.shape[2]):
        before_step()
        number = 0 if start == 0 else video_frames(start)
        for piece in _run(layers, moments[:, :, start:stop], stop, pace):
            yield number, piece
            number += piece.shape[2]


def _run(layers: list[Layer], x: Tensor, stop: int, pace: Pace) -> Iterator[Tensor]:
    """A step's frames through the layers, in pieces; nothing where a layer has not to begin before latent `stop`."""
    for place, layer in enumerate(layers):
        if stop <= layer.begins:
            return
        x = layer(x)
        if layer.doubles and x.shape[2] > pace.frames:
            for piece in x.split(pace.frames, dim=2):
                yield from _run(layers[place + 1 :], piece, stop, pace)
            return
    yield x


def learn_pace(modules: list[nn.Module], decode: Callable[[], object]) -> Pace | None:
    """Watch a decoder's own program on a few latents, and tell how it walks; None where in another way.

    Args:
        modules: from `modules_of`.
        decode: runs the program on five latents or more.
    """
    begun: list[int] = []
    done: list[int] = []

    def note(found: list[int]) -> Callable[..., None]:
        return lambda _module, inputs: found.append(inputs[0].shape[2])

    hooks = [modules[0].register_forward_pre_hook(note(begun)), modules[-1].register_forward_pre_hook(note(done))]
    try:
        decode()
    finally:
        for hook in hooks:
            hook.remove()
    steps = set(begun[1:-1]) or set(begun[1:])  # the last may be a shorter one
    return Pace(steps.pop(), max(done)) if begun[:1] == [1] and len(steps) == 1 else None
