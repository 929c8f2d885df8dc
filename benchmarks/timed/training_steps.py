"""Parts of a training step by the clock: a small model, rows in a cache on disk, the trainer as it is."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from ...cointeract_core.training.run import ema
from ...cointeract_core.training.run import trainer as trainers
from ...cointeract_core.training.run.engine import LocalEngine
from ...cointeract_core.training.settings.toml import settings_from
from ...cointeract_core.training.step.cache import KeptSamples, SampleCache, SampleKeys
from ...cointeract_core.training.step.lora import LoraSet
from ...cointeract_core.training.step.sample import TrainingSample
from ...cointeract_core.training.step.step import in_model_scale
from ...cointeract_core.training.step.trainable import TrainableModel
from ...cointeract_core.training.table.token_masks import TokenMasks

ROWS, LATENTS, WORDS, TOKENS = 8, 4, 20, 512
ROWS_OF_CELLS, COLUMNS_OF_CELLS = 12, 16  # 96x128 pixels
WARM_UP = 4
PARTS = ("total", "forward", "backward", "reading", "clip", "optimiser", "average", "rest")


class Clock:
    """Seconds by name, of one step after another."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.now: dict[str, float] = defaultdict(float)
        self._begun = time.perf_counter()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose time counts under `name`."""

        def run(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.now[name] += time.perf_counter() - begun

        return run

    def next(self, *_told: object) -> None:
        """A step is done."""
        now = time.perf_counter()
        known = sum(self.now.values())
        self.steps.append({**self.now, "total": now - self._begun, "rest": now - self._begun - known})
        self.now, self._begun = defaultdict(float), time.perf_counter()


class TimedEngine(LocalEngine):
    """One process whose parts are timed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(torch.device("cpu"))
        self._clock = clock

    def prepare(self, model: Any, optimiser: Any) -> Any:
        """Model and optimiser, timed."""
        optimiser.step = self._clock.timed("optimiser", optimiser.step)
        return self._clock.timed("forward", model), optimiser

    def backward(self, loss: Tensor) -> None:
        """Timed."""
        self._clock.timed("backward", super().backward)(loss)

    def clip(self, parameters: Any, limit: float) -> float:
        """Timed."""
        return float(self._clock.timed("clip", super().clip)(parameters, limit))


def whole_model(experts: bool) -> TrainableModel:
    """The model, every parameter of it trained."""
    from ...cointeract_core.host.model.standalone import plain_dit, settle_device

    settle_device()

    config = {"model_type": "s2v", "dim": 128, "ffn_dim": 512, "num_heads": 1, "num_layers": 6}
    torch.manual_seed(0)
    dit = plain_dit(config, expert_hidden=128 if experts else 0, hoi_stream=experts)
    for parameter in dit.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    none = LoraSet({}, 1, 1.0, torch.Generator())
    return TrainableModel(dit, none, targets=(), experts=experts, hoi=experts, whole=True)


def fill(cache: SampleCache, hoi: bool) -> list[Any]:
    """Rows of random numbers in the cache, and how to load each."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def text() -> Tensor:
        return torch.cat([noise(1, WORDS, 4096), torch.zeros(1, TOKENS - WORDS, 4096)], 1)

    cells = (ROWS_OF_CELLS, COLUMNS_OF_CELLS)
    empty, prefix = text(), text()
    loaders = []
    for row in range(ROWS):
        texts = {"main": text(), "empty": empty, "hoi": text(), "hoi_empty": prefix}
        cache.put("text", str(row), texts)
        cache.put("speech", str(row), {"audio": noise(1, 25, 1024, 4 * LATENTS)})
        latents = {"person": noise(1, 16, 1, *cells), "product": noise(1, 16, 1, *cells)}
        latents |= {"alone": noise(1, 16, LATENTS, *cells)}
        latents |= {"hoi": noise(1, 16, LATENTS, *cells)} if hoi else {}
        cache.put("latents", str(row), latents)
        tokens = LATENTS * cells[0] * cells[1] // 4
        masks = TokenMasks((torch.arange(tokens) < 9).to(torch.uint8), (torch.arange(tokens) > 180).to(torch.uint8))
        checked = SimpleNamespace(
            token_masks=masks if hoi else None, row=SimpleNamespace(number=row, product_scale=1.0)
        )
        loaders.append((checked, SampleKeys(str(row), str(row), str(row))))
    return loaders


def loaders_of(cache: SampleCache, rows: Sequence[tuple[Any, SampleKeys]]) -> list[Callable[[], TrainingSample]]:
    """How a run loads each row."""
    kept = KeptSamples()

    def loader(checked: Any, keys: SampleKeys) -> Callable[[], TrainingSample]:
        def load() -> TrainingSample:
            return in_model_scale(cache.load(checked, keys), lambda latents: (latents - 0.1) / 1.3)

        return lambda: kept.get(checked.row.number, load)

    return [loader(*row) for row in rows]


def time_case(experts: bool, batch: int, steps: int, folder: Path) -> dict[str, float]:
    """Milliseconds of each part of a step, medians."""
    files = dict.fromkeys(("base", "vae", "text_encoder", "audio_encoder"), "tiny.safetensors")
    settings = settings_from(
        {
            "model": {**files, "train": "full"},
            "data": {"table": "rows.csv", "latents": LATENTS},
            "run": {"name": "timed", "steps": steps, "save_every": 0},
            "lora": {"experts": experts},
            "loss": {"router": 0.05 if experts else 0.0},
            "hoi": {"mode": "asymmetric" if experts else "off"},
            "optimizer": {"learning_rate": 1e-4, "ema": 0.99, "batch_size": batch},
        }
    )
    clock = Clock()
    cache = SampleCache(folder / "cache")
    samples = [clock.timed("reading", load) for load in loaders_of(cache, fill(cache, experts))]
    trainer = trainers.Trainer(
        model=whole_model(experts),
        samples=samples,
        held_out=[],
        settings=settings,
        engine=TimedEngine(clock),
        root=folder / "run",
        identity={},
        hooks=trainers.Hooks(to_model=lambda tensor: tensor, after_step=clock.next),
    )
    with patch.object(ema.AdapterEma, "update", clock.timed("average", ema.AdapterEma.update)):
        trainer.run()
    return {name: 1e3 * statistics.median(step.get(name, 0.0) for step in clock.steps[WARM_UP:]) for name in PARTS}


def time_cases(steps: int, batches: Sequence[int]) -> dict[str, dict[str, float]]:
    """Every case by name."""
    cases = {}
    for experts in (False, True):
        for batch in batches:
            with tempfile.TemporaryDirectory() as folder:
                name = f"{'experts, HOI' if experts else 'plain'}, batch {batch}"
                cases[name] = time_case(
                    experts, batch, steps if batch == 1 else max(steps // 3, WARM_UP + 4), Path(folder)
                )
    return cases
