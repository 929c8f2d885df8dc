"""Our transformer, the authors' and the host's with the same random weights, and one clip's conditions for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...cointeract_core.checkpoint.keys import EXTRAS, to_official
from ...cointeract_core.constants import AUDIO_LAYERS, LATENT_CHANNELS, MOTION_LATENTS, TEMPORAL_STRIDE
from ...cointeract_core.host.model.clip_cache import OPTION, RunCache
from ...cointeract_core.host.model.standalone import plain_dit, plain_s2v
from .reference import Reference

Forward = Callable[[Tensor, Tensor, int], Tensor]  # latents, timestep, which pass: 0 positive, 1 negative
SPREAD = 0.5  # of random weights, in units of one over the root of a layer's width


@dataclass(frozen=True)
class Size:
    """A model and a clip."""

    settings: dict[str, Any]
    expert_hidden: int
    cells: tuple[int, int]  # latent rows and columns
    frames: int  # target latents
    text: int  # tokens of a prompt


def random_weights(module: torch.nn.Module, device: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights of a scale that keeps a deep network's values near one; the same at every call."""
    generator = torch.Generator(device).manual_seed(1)
    weights = {}
    for name, tensor in module.state_dict().items():
        own = tensor.dtype if tensor.dtype == torch.float32 else dtype
        value = torch.randn(tensor.shape, generator=generator, device=device, dtype=torch.float32)
        if tensor.ndim > 1:
            value *= SPREAD / (tensor[0].numel() ** 0.5 if tensor.ndim < 6 else 1.0)
        elif name.endswith("weight"):
            value = 1 + 0.05 * value  # of norms
        else:
            value *= 0.05
        weights[name] = value.to(dtype).to(own)  # a layer kept in float32 holds numbers the others could hold too
    return weights


class Contest:
    """The implementations by name, ready to be run in turn.

    Args:
        reference: the authors' code, or None where only ours and the host's are to be compared.
        size: of everything.
        device, dtype: where and in what to compute.
    """

    def __init__(self, reference: Reference | None, size: Size, device: str, dtype: torch.dtype) -> None:
        self.size, self.device, self.dtype = size, device, dtype
        self._reference = reference
        meta = self._ours("meta", size.expert_hidden)
        self.weights = random_weights(meta, device, dtype)
        self.passes = [self._conditions(seed) for seed in (10, 20)]

    def ours(self, experts: bool = True, product: bool | None = None) -> Entry:
        """Ours; without experts the product is left out too unless asked for, as the host knows neither."""
        module = self._ours("meta", self.size.expert_hidden if experts else 0)
        module.load_state_dict(self._shared(experts), assign=True)
        return Entry(
            "ours" if experts else "ours, plain",
            self,
            _OurForward(module, self.passes, experts if product is None else product),
        )

    def ours_fp8(self) -> Entry:
        """Ours with every weight matrix in float8, brought to the precision of its input for each product."""
        settings = self.size.settings
        module = plain_dit(settings, "meta", self.dtype, cast=True, expert_hidden=self.size.expert_hidden)
        layers = {name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)}
        weights = {
            name: tensor.to(torch.float8_e4m3fn) if name.removesuffix(".weight") in layers else tensor
            for name, tensor in self.weights.items()
        }
        module.load_state_dict(weights, assign=True)
        return Entry("ours, fp8", self, _OurForward(module, self.passes, product=True))

    def host(self) -> Entry:
        """The host's own class."""
        module = plain_s2v(self.size.settings, "meta", self.dtype)
        module.load_state_dict(self._shared(False), assign=True)
        return Entry("host, plain", self, _HostForward(module, self.passes))

    def authors(self, experts: bool = True) -> Entry:
        """The authors' program."""
        settings = {name: value for name, value in self.size.settings.items() if name != "model_type"}
        settings |= {"eps": 1e-6, "patch_size": (1, 2, 2)}
        # theirs has no layer in another precision
        weights = {to_official(name, experts): tensor.to(self.dtype) for name, tensor in self._shared(experts).items()}
        hidden = self.size.expert_hidden if experts else 0
        module = self._reference.build(settings, weights, hidden)
        return Entry("authors", self, _TheirForward(self._reference, module, self.passes))

    def latents(self, seed: int) -> Tensor:
        """A noisy target."""
        return self._random(seed, self.size.frames)

    def _ours(self, device: str, hidden: int) -> Any:
        return plain_dit(self.size.settings, device, self.dtype, expert_hidden=hidden)

    def _shared(self, experts: bool) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self.weights.items() if experts or not name.startswith(EXTRAS)}

    def _random(self, seed: int, frames: int) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(seed)
        shape = (1, LATENT_CHANNELS, frames, *self.size.cells)
        return torch.randn(shape, generator=generator, device=self.device).to(self.dtype)

    def _conditions(self, seed: int) -> dict[str, Tensor]:
        """Of one pass; the passes of guidance differ in prompt and speech alone."""
        generator = torch.Generator(self.device).manual_seed(seed)
        settings, features = self.size.settings, self.size.frames * TEMPORAL_STRIDE
        text = (1, self.size.text, settings["text_dim"])
        audio = (1, AUDIO_LAYERS, settings["audio_dim"], features)
        draw = {"generator": generator, "device": self.device}
        return {
            "context": torch.randn(text, **draw).to(self.dtype),
            "audio": torch.randn(audio, **draw).to(self.dtype),
            "person": self._random(1, 1),
            "product": self._random(2, 1),
            "motion": self._random(3, MOTION_LATENTS),
        }


@dataclass(frozen=True)
class Entry:
    """One implementation."""

    name: str
    contest: Contest
    run: Any

    def forward(self, timestep: float = 500.0, *, seed: int = 0) -> Tensor:
        """One pass in the middle of a clip."""
        with torch.inference_mode():
            return self.run(self.contest.latents(seed), self._time(timestep), 0)

    def step(self, timestep: float = 500.0, *, seed: int = 0) -> Tensor:
        """Both passes and their guidance."""
        return self._guided(self.contest.latents(seed), timestep)

    def clip(self, timesteps: tuple[float, ...]) -> Tensor:
        """A clip from its first step to its last, constants and all."""
        self.run.begin()
        latents = self.contest.latents(0)
        for now, after in zip(timesteps, (*timesteps[1:], 0.0), strict=True):
            latents = latents + self._guided(latents, now) * (after - now) / 1000
        return latents

    def _guided(self, latents: Tensor, timestep: float) -> Tensor:
        with torch.inference_mode():
            positive, negative = (self.run(latents, self._time(timestep), which) for which in (0, 1))
            return negative + (positive - negative) * 3.0

    def _time(self, timestep: float) -> Tensor:
        return torch.tensor([timestep], device=self.contest.device, dtype=self.contest.dtype)


class _OurForward:
    def __init__(self, module: Any, passes: list[dict[str, Tensor]], product: bool) -> None:
        self.module, self._passes, self._product = module, passes, product
        self.begin()

    def begin(self) -> None:
        """A run of its own, as the host's sampler starts one per clip."""
        self._cache = RunCache()

    def __call__(self, latents: Tensor, timestep: Tensor, which: int) -> Tensor:
        own = self._passes[which]
        options = {OPTION: self._cache, "uuids": [which]}
        product = {"product_latent": own["product"]} if self._product else {}
        return self.module.forward_orig(
            latents, timestep, own["context"], **_host_names(own), **product, transformer_options=options
        )


class _HostForward:
    def __init__(self, module: Any, passes: list[dict[str, Tensor]]) -> None:
        self.module, self._passes = module, passes

    def begin(self) -> None:
        """It keeps nothing."""

    def __call__(self, latents: Tensor, timestep: Tensor, which: int) -> Tensor:
        own = self._passes[which]
        return self.module(latents, timestep, own["context"], **_host_names(own))


class _TheirForward:
    def __init__(self, reference: Reference, module: Any, passes: list[dict[str, Tensor]]) -> None:
        self.module, self.reference, self._passes = module, reference, passes

    def begin(self) -> None:
        """They keep nothing."""

    def __call__(self, latents: Tensor, timestep: Tensor, which: int) -> Tensor:
        return self.reference.predict(self.module, latents, timestep, self._passes[which])


def _host_names(own: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"audio_embed": own["audio"], "reference_latent": own["person"], "reference_motion": own["motion"]}
