"""One training run inside ComfyUI or from the shell: check, encode, load, train, save, and leave the host as it was.

Nodes run under inference mode, whose tensors autograd refuses; so a run loads its own model from file names outside of
it, after the host's models have left memory.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...errors import InputError
from ...leftovers import sweep
from ...training.run.engine import Engine, LocalEngine
from ...training.run.fingerprint import fingerprint
from ...training.run.run_lock import run_lock
from ...training.run.trainer import Hooks, Trainer
from ...training.settings.sections import TrainSettings
from ...training.settings.toml import dump_toml
from ...training.step.lora import LoraSet, choose_layers
from ...training.step.memory import Memory, memory_mode
from ...training.step.pinned import give_back
from ...training.step.step import OFF
from ...training.step.trainable import TrainableModel
from ...training.table.preflight import CheckedRow, Preflight
from ..files.load_encoders import EncoderFiles, check_encoders
from ..files.load_model import LoadPlan, plan_load
from ..forms import LayerWeights
from ..page.live import run_folder
from .loaders import EncodedRows, encode
from .model import TrainingModel, load_training_model, model_stamp
from .progress import TrainingProgress
from .results import FinishedRun, listed_name, result_path, save_result
from .samples import SampleMaker
from .whole import check_whole

log = logging.getLogger("cointeract")

SETTINGS_FILE = "settings.toml"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that was checked before anything heavy is loaded."""

    settings: TrainSettings
    rows: tuple[CheckedRow, ...]
    held_out: tuple[CheckedRow, ...]
    files: LoadPlan
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
    files = plan_load(model.base, model.adapter)
    if model.whole:
        check_whole(files, result_path(settings))
    return RunPlan(settings, rows, held_out, files, encoders)


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
    """Train, and write what was learnt.

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
        for folder in (root, result_path(plan.settings).parent):
            sweep(folder)
        return _run(plan, node_id, engine)


def _run(plan: RunPlan, node_id: str | None, engine: Engine) -> FinishedRun:
    settings = plan.settings
    progress = TrainingProgress(settings.run.name, settings.run.steps, node_id, quiet=engine.rank > 0)
    with progress.closing(), outside_inference():
        samples = encode(plan.rows, plan.held_out, plan.encoders, engine, progress.encoding)
        model = load_training_model(
            plan.files,
            settings.model.base_dtype,
            settings.model.compute_dtype,
            hoi=settings.hoi.mode != OFF,
            experts=settings.lora.experts,
            seed=settings.run.seed,
        )
        identity = fingerprint(
            settings, data_stamp=samples.stamp, model_stamp=model_stamp(plan.files), processes=engine.processes
        )
        trainable, lora = _trainable(model, settings, plan)
        modes = memory_mode(trainable, settings.memory.mode, engine.device, LayerWeights, engine.processes)
        with lora.attached(model.dit), modes as memory:
            trainer = _trainer(plan, model, trainable, memory, samples, engine, progress, identity)
            result, files = trainer.run(), []
            if engine.rank == 0:
                files = save_result(
                    result, settings, model.file_dtype, step=trainer.step, rows=len(plan.rows), identity=identity
                )
        engine.wait()
    return FinishedRun(tuple(files), listed_name(settings, files), run_folder(settings.run.name), trainer.step)


def _trainable(model: TrainingModel, settings: TrainSettings, plan: RunPlan) -> tuple[TrainableModel, LoraSet]:
    lora, hoi = settings.lora, settings.hoi.mode != OFF
    if settings.model.whole:
        none = LoraSet({}, lora.rank, lora.alpha, torch.Generator())
        return TrainableModel(model.dit, none, targets=(), experts=lora.experts, hoi=hoi, whole=True), none
    brought = {name.removeprefix("diffusion_model.").rsplit(".lora_", 1)[0] for name in model.lora}
    layers = choose_layers(model.dit, lora.targets, sorted(brought))
    generator = torch.Generator().manual_seed(settings.run.seed)
    added = LoraSet(layers, lora.rank, lora.alpha, generator)
    if plan.files.adapter_file is not None:
        added.load(model.lora, plan.files.adapter_file.what)
    return TrainableModel(model.dit, added, targets=lora.targets, experts=lora.experts, hoi=hoi), added


def _trainer(
    plan: RunPlan,
    model: TrainingModel,
    trainable: TrainableModel,
    memory: Memory,
    samples: EncodedRows,
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
