"""Training where only a card, several processes or a mode would show the fault; stand-ins take their place."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import comfy.cli_args
import comfy.model_management
import comfy.ops
import folder_paths
import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.files.load_model import plan_load
from cointeract_pack.cointeract_core.host.forms import LayerWeights
from cointeract_pack.cointeract_core.host.train import command as training_command
from cointeract_pack.cointeract_core.host.train import samples as training_samples
from cointeract_pack.cointeract_core.host.train.model import TrainingModel, load_training_model
from cointeract_pack.cointeract_core.training.run import optimisers
from cointeract_pack.cointeract_core.training.run.engine import AccelerateEngine
from cointeract_pack.cointeract_core.training.run.optimisers import make_optimiser, optimiser_tensors, restore_optimiser
from cointeract_pack.cointeract_core.training.run.trainer import Hooks
from cointeract_pack.cointeract_core.training.settings.memory_modes import RECIPES
from cointeract_pack.cointeract_core.training.settings.optimizer import OptimizerSettings
from cointeract_pack.cointeract_core.training.step.memory import memory_mode
from cointeract_pack.cointeract_core.training.step.step import draw, sample_generator, step_losses
from cointeract_pack.tests.host.train.test_trainer import make_trainer, run_settings

CPU = torch.device("cpu")


def test_no_layer_multiplies_in_8_bits(put, tiny, registered, monkeypatch):
    """Also where ComfyUI was started with --fast on a card that can."""
    asked = {comfy.cli_args.PerformanceFeature.Fp8MatrixMultiplication}
    monkeypatch.setattr(comfy.cli_args.args, "fast", asked)
    monkeypatch.setattr(comfy.model_management, "supports_fp8_compute", lambda *_device: True)
    name = put("diffusion_models", "base.safetensors", tiny.base())
    model = load_training_model(plan_load(name, "none"), "fp8_e4m3fn", hoi=True, experts=True, seed=0)
    assert not [layer for layer in model.dit.modules() if isinstance(layer, comfy.ops.fp8_ops.Linear)]
    assert comfy.cli_args.args.fast is asked


class Moving:
    """Stands for a video: the host moves all weights to the card and back, as it does to make one."""

    def __init__(self, dit):
        self.dit, self.seen = dit, []

    def __call__(self):
        self.seen.append(torch.is_grad_enabled())
        self.dit.to(torch.float64).to(torch.float32)
        return torch.zeros(4, 64, 64, 3)


@pytest.mark.parametrize("mode", RECIPES)
def test_training_goes_on_after_a_sample_video(mode, training_case, monkeypatch, tmp_path):
    settings = training_case.settings()
    model, lora = training_case.model(settings)
    moving = Moving(model.dit)
    monkeypatch.setattr(training_samples, "read_audio", lambda _path: (torch.zeros(1, 1, 8000), 16000))
    monkeypatch.setattr(training_samples.SampleMaker, "_frames", lambda _self: moving())
    sample = training_case.sample()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)

    def step(memory):
        model.zero_grad()
        how = {"visibility": "asymmetric", "to_model": lambda tensor: tensor, "recompute": memory.recompute}
        step_losses(model.dit, sample, drawn, settings.loss, **how).total.backward()
        return {name: tensor.grad.clone() for name, tensor in model.trainable().items() if tensor.grad is not None}

    with lora.attached(model.dit), memory_mode(model, mode, CPU, LayerWeights) as memory:
        before = step(memory)
        patched = TrainingModel(
            SimpleNamespace(model=SimpleNamespace(diffusion_model=model.dit)), {}, torch.float32, torch.float32
        )
        checked = SimpleNamespace(row=SimpleNamespace(audio="none"), size=None)
        cache = SimpleNamespace(load=lambda *_row: sample)
        maker = training_samples.SampleMaker(patched, "vae", cache, (checked, None), tmp_path, memory, 1)
        assert maker.make(1).is_file()
        after = step(memory)
    assert moving.seen == [False]
    assert len(before) > 100
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_the_model_has_left_before_a_video_is_decoded(training_case, monkeypatch, tmp_path):
    """Decoding makes room under inference mode; what moves then could not be trained any more."""
    calls = []

    def note(name):
        return lambda *_arguments, **_named: calls.append(name) or SimpleNamespace(__getitem__=None)

    for name in ("with_shift", "make_sigmas", "clip_conditions", "sample_clip", "load_vae", "decode_target"):
        monkeypatch.setattr(training_samples, name, note(name))
    monkeypatch.setattr(training_samples, "decode_target", lambda *_some: calls.append("decode_target") or [0] * 99)
    monkeypatch.setattr(comfy.model_management, "unload_all_models", note("unload"))
    model = TrainingModel(None, {}, torch.float32, torch.float32)
    model = SimpleNamespace(patcher=model.patcher)
    cache = SimpleNamespace(load=lambda *_row: training_case.sample())
    checked = SimpleNamespace(size=SimpleNamespace(width=64, height=64))
    maker = training_samples.SampleMaker(model, "vae", cache, (checked, None), tmp_path, None, 1)
    maker._frames()
    assert calls[-4:] == ["sample_clip", "unload", "load_vae", "decode_target"]


def test_gradients_are_let_go_before_a_video(training_case, tmp_path):
    held = []
    hooks = Hooks(lambda tensor: tensor, make_sample=lambda _step: held.append(count()))
    trainer = make_trainer(training_case, tmp_path, run_settings(training_case, 3, run={"sample_every": 1}), hooks)

    def count():
        return sum(tensor.grad is not None for tensor in trainer.model.trainable().values())

    trainer.run()
    assert held == [0, 0, 0]


@pytest.fixture
def accelerate(monkeypatch):
    package = pytest.importorskip("accelerate", reason="The package accelerate is not installed: pip install it.")
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield package
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("configured", ["bf16", "fp16", "fp8"])
def test_the_precision_of_accelerates_configuration_is_left_aside(configured, accelerate, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", configured)
    assert AccelerateEngine(cpu=True)._accelerator.mixed_precision == "no"


def test_gradients_of_several_processes_are_there_once(accelerate):
    handler = AccelerateEngine(cpu=True)._accelerator.ddp_handler
    assert handler.gradient_as_bucket_view
    assert handler.find_unused_parameters


@pytest.mark.parametrize(("asked", "name"), [("FSDP", "FSDP"), ("DEEPSPEED", "DeepSpeed")])
def test_what_was_never_tried_is_refused(asked, name, accelerate, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{asked}", "true")
    with pytest.raises(InputError) as caught:
        AccelerateEngine(cpu=True)
    assert str(caught.value) == (
        f"accelerate is set to use {name}, but training was tried only with the whole model in every process; run "
        "accelerate config again without it."
    )


def test_every_process_takes_its_card_before_comfyui_looks(monkeypatch):
    calls = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(training_command, "load_settings", lambda _path: None)
    monkeypatch.setattr(training_command, "settle_device", lambda _cpu: calls.append("ComfyUI"))
    monkeypatch.setattr(training_command, "_settle_folders", lambda *_some: None)
    monkeypatch.setattr(training_command, "_train", lambda *_some: 0)
    monkeypatch.setattr(training_command.Path, "resolve", lambda self: self)
    config = SimpleNamespace(parent=training_command.Path())
    monkeypatch.setattr(
        training_command, "load_settings", lambda _path: SimpleNamespace(data=SimpleNamespace(table="t"))
    )
    assert training_command.run_command(config, None, None, cpu=False, check_only=False) == 0
    assert training_command.run_command(config, None, None, cpu=True, check_only=False) == 0
    assert calls == [3, "ComfyUI", "ComfyUI"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_the_update_is_one_kernel_on_a_card_and_follows_the_parameters(monkeypatch):
    """A state of one place resumes in the other."""
    parameters = [torch.nn.Parameter(torch.ones(3))]
    made = {}
    for card in (True, None):
        monkeypatch.setattr(optimisers, "_on_a_card", lambda _all, card=card: card)
        made[card] = make_optimiser(OptimizerSettings(), parameters)
        parameters[0].grad = torch.ones(3)
        made[card].step()
    assert [group["fused"] for optimiser in made.values() for group in optimiser.param_groups] == [True, None]
    for card, other in ((True, None), (None, True)):
        restore_optimiser(made[other], *optimiser_tensors(made[card]))
        assert made[other].param_groups[0]["fused"] is other
        made[other].step()
    monkeypatch.undo()
    assert optimisers._on_a_card(parameters) is None
    assert optimisers._on_a_card([SimpleNamespace(device=torch.device("cuda", 1))]) is True


def test_a_signal_stops_a_run_whose_main_thread_waits_outside_of_python():
    """As it waits for a card's backward pass: no handler of Python runs until it returns."""
    flagged = []

    def watch():
        while not comfy.model_management.processing_interrupted():
            time.sleep(0.01)
        flagged.append(time.monotonic())

    before = [signal.getsignal(number) for number in training_command.STOPPING]
    try:
        with training_command._stopping_by_signal():
            threading.Thread(target=watch, daemon=True).start()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 3_000_000)  # a second or more of C without the interpreter's lock
            returned = time.monotonic()
            time.sleep(0.1)
        assert flagged
        assert flagged[0] < returned - 0.1
    finally:
        comfy.model_management.interrupt_current_processing(False)
    assert [signal.getsignal(number) for number in training_command.STOPPING] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("column", ["input_video", "audio", "person_image", "hoi_video", None])
def test_a_file_that_was_replaced_is_checked_again(column):
    from cointeract_pack.nodes.training import TrainingData

    with tempfile.TemporaryDirectory(dir=folder_paths.get_input_directory()) as name:
        folder = Path(name)
        cells = {"prompt": "p", "input_video": "v.mp4", "audio": "a.wav", "person_image": "i.png", "hoi_video": "h.mp4"}
        for file in (*list(cells.values())[1:-1], "other.txt"):
            (folder / file).write_bytes(b"one")
        (folder / "t.csv").write_text("\n".join(",".join(line) for line in (cells, cells.values())), encoding="utf-8")
        table = f"{folder.name}/t.csv"
        before = TrainingData.fingerprint_inputs(table=table, size="any")
        (folder / "other.txt").write_bytes(b"another")
        assert TrainingData.fingerprint_inputs(table=table, size="other") == before
        (folder / cells.get(column, "t.csv")).write_bytes(b"another one")  # also one that was missing, or no table
        assert TrainingData.fingerprint_inputs(table=table, size="any") != before
