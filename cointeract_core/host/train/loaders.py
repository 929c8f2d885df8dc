"""Rows of a run, encoded: the cache is filled once, then a sample is loaded whenever its row's turn comes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import folder_paths
from torch import Tensor

from ...training.run.engine import Engine
from ...training.run.turns import Sample
from ...training.step.cache import KeptSamples, SampleCache, SampleKeys
from ...training.step.sample import TrainingSample
from ...training.step.step import in_model_scale
from ...training.table.box_cells import boxes_text
from ...training.table.preflight import CheckedRow
from ..files.load_encoders import EncoderFiles
from .encode_rows import Progress, fill_cache

CACHE = "CoInteract/train_cache"  # below the host's output folder


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Encoded rows, read from the cache when they are first asked for.

    Attributes:
        stamp: hash of everything that is learnt from.
    """

    cache: SampleCache
    rows: tuple[tuple[CheckedRow, SampleKeys], ...]
    stamp: str
    _kept: KeptSamples = field(default_factory=KeptSamples)

    def loaders(self, chosen: Sequence[CheckedRow], scale: Callable[[Tensor], Tensor]) -> list[Sample]:
        """How to load each of the chosen rows, in the model's scale."""
        numbers = {checked.row.number for checked in chosen}

        def loader(checked: CheckedRow, keys: SampleKeys) -> Sample:
            def load() -> TrainingSample:
                return in_model_scale(self.cache.load(checked, keys), scale)

            return lambda: self._kept.get(checked.row.number, load)

        return [loader(checked, keys) for checked, keys in self.rows if checked.row.number in numbers]


def encode(
    rows: Sequence[CheckedRow],
    held_out: Sequence[CheckedRow],
    encoders: EncoderFiles,
    engine: Engine,
    progress: Progress,
) -> EncodedRows:
    """Fill the cache; of several processes the first does it, the others then find everything there."""
    cache = SampleCache(Path(folder_paths.get_output_directory()) / CACHE)
    every = (*rows, *held_out)
    keys: list[SampleKeys] = []
    if engine.rank == 0:
        keys = fill_cache(every, encoders, cache, progress)
    engine.wait()
    keys = keys or fill_cache(every, encoders, cache, progress)
    held_out_rows = [checked.row.number for checked in held_out]
    return EncodedRows(cache, tuple(zip(every, keys, strict=True)), _stamp(every, keys, held_out_rows))


def _stamp(rows: Sequence[CheckedRow], keys: Sequence[SampleKeys], held_out: Sequence[int]) -> str:
    """Hash of everything that is learnt from: the encoded parts, and what of a row is not encoded."""
    told = [[key.text, key.speech, key.latents] for key in keys]
    for part, checked in zip(told, rows, strict=True):
        row = checked.row
        part += [boxes_text(row.face), boxes_text(row.hand), str(row.source), str(row.product_scale)]
    return hashlib.sha256(json.dumps([told, held_out]).encode()).hexdigest()
