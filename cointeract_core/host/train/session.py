"""One training run inside ComfyUI or from the shell: check, encode, load, train, save, and leave the host as it was.

Nodes run under inference mode, whose tensors autograd refuses; so a run loads its own model from file names outside of
it, after the host's models have left memory.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import torch
from torch import Tensor

from ...errors import InputError
from ...leftovers import sweep
from ...media.picture import read_picture
from ...training.run.adapter import save_trained
from ...training.run.curves import PICTURE
from ...training.run.engine import Engine, LocalEngine
from ...training.run.fingerprint import fingerprint
from ...training.run.run_lock import run_lock
from ...training.run.trainer import Hooks, Sample, Trainer
from ...training.settings.sections import TrainSettings
from ...training.settings.toml import dump_toml
from ...training.step.cache import SampleCache, SampleKeys
from ...training.step.lora import LoraSet, choose_layers
from ...training.step.memory import Memory, memory_mode
from ...training.step.pinned import give_back
from ...training.step.step import OFF, in_model_scale
from ...training.step.trainable import TrainableModel
from ...training.table.box_cells import boxes_text
from ...training.table.preflight import CheckedRow, Preflight
from ..files.load_encoders import EncoderFiles, check_encoders
from ..files.load_model import LoadPlan, plan_load
from ..forms import LayerWeights
from ..page.live import run_folder
from .encode_rows import fill_cache
from .model import TrainingModel, load_training_model, model_stamp
from .progress import TrainingProgress
from .samples import SampleMaker

log = logging.getLogger("cointeract")

CACHE, ADAPTERS = "CoInteract/train_cache", "CoInteract"
SETTINGS_FILE = "settings.toml"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run has left.

    Attributes:
        adapters: files in the host's `loras` folder.
        adapter_name: the first of them as the host lists it.
        folder: curves, states and samples.
        steps: steps trained in all.
    """

    adapters: tuple[Path, ...]
    adapter_name: str
    folder: Path
    steps: int


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that was checked before anything heavy is loaded."""

    settings: TrainSettings
    rows: tuple[CheckedRow, ...]
    held_out: tuple[CheckedRow, ...]
    model: LoadPlan
    encoders: EncoderFiles


def plan_run(settings: TrainSettings, preflight: Preflight) -> RunPlan:
    """Check rows and files.

    Raises:
        InputError: bad rows that are not to be skipped, or nothing left to train on.
        ModelFileError: files that are missing, or do not belong together.
    """
    accepted = preflight.accepted(settings.data.bad_rows == "skip")
    wanted = set(settings.data.validation_rows)
    absent = wanted - {checked.row.number for checked in accepted}
    if absent:
        raise InputError(
            f"data.validation_rows names {', '.join(map(str, sorted(absent)))}, but the usable rows are "
            f"{', '.join(str(checked.row.number) for checked in accepted[:20])}; choose some of these."
        )
    rows = tuple(checked for checked in accepted if checked.row.number not in wanted)
    if not rows:
        raise InputError(
            "data.validation_rows names every row, but at least one must be left to train on; hold out fewer."
        )
    held_out = tuple(checked for checked in accepted if checked.row.number in wanted)
    model = settings.model
    encoders = EncoderFiles(model.vae, model.text_encoder, model.audio_encoder)
    check_encoders(encoders)
    return RunPlan(settings, rows, held_out, plan_load(model.base, model.adapter), encoders)


def adapter_path(name: str) -> Path:
    """Where a run's adapter goes: the first of the host's `loras` folders."""
    return Path(folder_paths.get_folder_paths("loras")[0]) / ADAPTERS / f"{name}.safetensors"


def curves_picture(folder: Path) -> Tensor:
    """The run's `curves.png`, `[1, H, W, 3]` in 0-1."""
    return read_picture(folder / PICTURE, "curves")[None]


@contextmanager
def outside_inference() -> Iterator[None]:
    """Normal tensors and gradients, in memory that the host's models have left; all as before afterwards.

    Weights come over in order with the work: on streams of its own the host would fill a weight's place again while
    the backward pass, which it knows nothing of, still reads it.
    """
    management = comfy.model_management
    management.unload_all_models()
    management.soft_empty_cache()
    flag = getattr(management, "in_training", None)  # newer hosts: leaves out kernels that have no backward
    streams = management.NUM_STREAMS
    try:
        management.NUM_STREAMS = 0
        if flag is not None:
            management.in_training = True
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        management.NUM_STREAMS = streams
        if flag is not None:
            management.in_training = flag
        management.unload_all_models()
        gc.collect()
        management.soft_empty_cache()
        give_back()


def run_training(plan: RunPlan, *, node_id: str | None = None, engine: Engine | None = None) -> FinishedRun:
    """Train, and write the adapter.

    Args:
        plan: from `plan_run`.
        node_id: the node that shows progress.
        engine: for several processes; by default this one alone.

    Raises:
        InputError: see `Trainer.run`; or another process is training a run of this name.
        InterruptProcessingException: the user stopped the run; it is saved.
    """
    engine = engine or LocalEngine(comfy.model_management.get_torch_device())
    if engine.rank > 0:  # the first process holds the folder for all of them
        return _run(plan, node_id, engine)
    root = run_folder(plan.settings.run.name)
    with run_lock(root, plan.settings.run.name):
        for folder in (root, adapter_path(plan.settings.run.name).parent):
            sweep(folder)
        return _run(plan, node_id, engine)


def _run(plan: RunPlan, node_id: str | None, engine: Engine) -> FinishedRun:
    settings = plan.settings
    progress = TrainingProgress(settings.run.name, settings.run.steps, node_id, quiet=engine.rank > 0)
    with progress.closing(), outside_inference():
        samples = _encode(plan, engine, progress)
        model = load_training_model(
            plan.model,
            settings.model.base_dtype,
            hoi=settings.hoi.mode != OFF,
            experts=settings.lora.experts,
            seed=settings.run.seed,
        )
        identity = fingerprint(
            settings, data_stamp=samples.stamp, model_stamp=model_stamp(plan.model), processes=engine.processes
        )
        trainable, lora = _trainable(model, settings, plan)
        modes = memory_mode(trainable, settings.memory.mode, engine.device, LayerWeights, engine.processes)
        with lora.attached(model.dit), modes as memory:
            trainer = _trainer(plan, model, trainable, memory, samples, engine, progress, identity)
            adapter = trainer.run()
            files = _save(plan, trainer, adapter, identity) if engine.rank == 0 else []
        engine.wait()
    name = f"{ADAPTERS}/{(files[0] if files else adapter_path(settings.run.name)).name}"
    return FinishedRun(tuple(files), name, run_folder(settings.run.name), trainer.step)


@dataclass(frozen=True, slots=True)
class _Samples:
    """Encoded rows, read from the cache whenever their turn comes."""

    cache: SampleCache
    rows: tuple[tuple[CheckedRow, SampleKeys], ...]
    stamp: str

    def loaders(self, chosen: Sequence[CheckedRow], scale: Callable[[Tensor], Tensor]) -> list[Sample]:
        numbers = {checked.row.number for checked in chosen}

        def loader(checked: CheckedRow, keys: SampleKeys) -> Sample:
            return lambda: in_model_scale(self.cache.load(checked, keys), scale)

        return [loader(checked, keys) for checked, keys in self.rows if checked.row.number in numbers]


def _encode(plan: RunPlan, engine: Engine, progress: TrainingProgress) -> _Samples:
    """Fill the cache; of several processes the first does it, the others then find everything there."""
    cache = SampleCache(Path(folder_paths.get_output_directory()) / CACHE)
    rows = (*plan.rows, *plan.held_out)
    keys: list[SampleKeys] = []
    if engine.rank == 0:
        keys = fill_cache(rows, plan.encoders, cache, progress.encoding)
    engine.wait()
    keys = keys or fill_cache(rows, plan.encoders, cache, progress.encoding)
    return _Samples(cache, tuple(zip(rows, keys, strict=True)), _data_stamp(plan, keys))


def _data_stamp(plan: RunPlan, keys: Sequence[SampleKeys]) -> str:
    """Hash of everything that is learnt from: the encoded parts, and what of a row is not encoded."""
    told = [[key.text, key.speech, key.latents] for key in keys]
    for part, checked in zip(told, (*plan.rows, *plan.held_out), strict=True):
        row = checked.row
        part += [boxes_text(row.face), boxes_text(row.hand), str(row.source), str(row.product_scale)]
    held_out = [checked.row.number for checked in plan.held_out]
    return hashlib.sha256(json.dumps([told, held_out]).encode()).hexdigest()


def _trainable(model: TrainingModel, settings: TrainSettings, plan: RunPlan) -> tuple[TrainableModel, LoraSet]:
    lora, hoi = settings.lora, settings.hoi.mode != OFF
    brought = {name.removeprefix("diffusion_model.").rsplit(".lora_", 1)[0] for name in model.lora}
    layers = choose_layers(model.dit, lora.targets, sorted(brought))
    generator = torch.Generator().manual_seed(settings.run.seed)
    added = LoraSet(layers, lora.rank, lora.alpha, generator)
    if plan.model.adapter_file is not None:
        added.load(model.lora, plan.model.adapter_file.what)
    return TrainableModel(model.dit, added, targets=lora.targets, experts=lora.experts, hoi=hoi), added


def _trainer(
    plan: RunPlan,
    model: TrainingModel,
    trainable: TrainableModel,
    memory: Memory,
    samples: _Samples,
    engine: Engine,
    progress: TrainingProgress,
    identity: dict[str, Any],
) -> Trainer:
    settings = plan.settings
    root = run_folder(settings.run.name)
    scale = model.patcher.model.latent_format.process_in
    root.mkdir(parents=True, exist_ok=True)
    if engine.rank == 0:
        (root / SETTINGS_FILE).write_text(dump_toml(settings), encoding="utf-8")

    def to_model(tensor: Tensor) -> Tensor:
        return tensor.to(engine.device, model.dtype)

    def make_sample(step: int) -> None:
        progress.say(f"making the sample video of step {step}")
        shown = samples.rows[len(plan.rows)] if plan.held_out else samples.rows[0]
        maker = SampleMaker(model, settings.model.vae, samples.cache, shown, root, memory, settings.run.sample_steps)
        maker.make(step)

    hooks = Hooks(
        to_model=to_model,
        interrupts=(comfy.model_management.InterruptProcessingException, KeyboardInterrupt),
        after_step=progress.after_step,
        make_sample=make_sample,
        recompute=memory.recompute,
    )
    return Trainer(
        model=trainable,
        samples=samples.loaders(plan.rows, scale),
        held_out=samples.loaders(plan.held_out, scale),
        settings=settings,
        engine=engine,
        root=root,
        identity=identity,
        hooks=hooks,
    )


def _save(plan: RunPlan, trainer: Trainer, adapter: dict[str, Tensor], identity: dict[str, Any]) -> list[Path]:
    path = adapter_path(plan.settings.run.name)
    files = save_trained(adapter, path, plan.settings, step=trainer.step, rows=len(plan.rows), identity=identity)
    log.info("The adapter of %d steps is in %s", trainer.step, files[0])
    return files
