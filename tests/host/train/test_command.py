"""The training command as its own process: killed and resumed, interrupted, refused, and as two processes."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

CURVES_OF_TIME = ("seconds", "memory_gb")
START_LIMIT = 240  # seconds
CONFIG = """
[model]
base = "wan2.2_s2v_14B_tiny.safetensors"
vae = "wan_2.1_vae_tiny.safetensors"
text_encoder = "umt5_xxl_tiny.pt"
audio_encoder = "wav2vec2_large_xlsr53_chinese_tiny.pt"

[data]
table = "{table}"
width = 64
height = 64
latents = 2

[lora]
rank = 4
alpha = 4.0

[optimizer]
learning_rate = 1e-3
accumulation = {accumulation}
ema = 0.5

[run]
name = "{name}"
steps = {steps}
save_every = 5
sample_every = {sample_every}
sample_steps = 2

[memory]
mode = "80gb"
"""


class Command:
    """Runs the command in a base directory of its own."""

    def __init__(self, repo: Path, host: Path, base: Path) -> None:
        self.repo, self.host, self.base = repo, host, base

    def config(self, name, steps=30, accumulation=1, sample_every=0):
        path = self.base / "user" / f"{name}.toml"
        values = {"name": name, "steps": steps, "accumulation": accumulation, "sample_every": sample_every}
        path.write_text(CONFIG.format(table="../input/cointeract_train/data.csv", **values), encoding="utf-8")
        return path

    def start(self, config, *options, launcher=()):
        program = [
            self.repo / "scripts" / "tiny" / "tiny_training.py",
            self.host,
            config,
            "--base-directory",
            self.base,
        ]
        words = [sys.executable, *launcher, *program, *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [str(word) for word in words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, config, *options, launcher=()):
        process = self.start(config, *options, launcher=launcher)
        output, _ = process.communicate(timeout=START_LIMIT)
        return process.returncode, output

    def folder(self, name):
        return self.base / "output" / "CoInteract" / "train" / name

    def rows(self, name):
        try:
            with (self.folder(name) / "metrics.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return []
        return [{key: text for key, text in row.items() if key not in CURVES_OF_TIME} for row in rows]

    def wait_for(self, name, steps, process):
        deadline = time.monotonic() + START_LIMIT
        while len(self.rows(name)) < steps:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def adapter(self, name):
        return load_file(self.base / "models" / "loras" / "CoInteract" / f"{name}.safetensors")


def own_base(base_directory: Path, base: Path) -> Path:
    """A base directory with the tiny models and inputs, and without what other runs have left."""
    for folder in ("models", "input"):
        shutil.copytree(base_directory / folder, base / folder, ignore=shutil.ignore_patterns("loras"))
    for folder in ("output", "temp", "user", "custom_nodes"):
        (base / folder).mkdir()
    return base


@pytest.fixture(scope="module")
def command(repo, host, base_directory, tmp_path_factory):
    return Command(repo, host, own_base(base_directory, tmp_path_factory.mktemp("training base")))


@pytest.fixture(scope="module")
def undisturbed(command):
    """A run from start to end; it also fills the cache for the others."""
    status, output = command.run(command.config("whole"))
    assert status == 0, output
    assert output.rstrip().endswith("whole.safetensors")
    rows = command.rows("whole")
    assert len(rows) == 30
    return rows, command.adapter("whole")


def same_tensors(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_killed_and_resumed_it_ends_where_an_undisturbed_run_ends(command, undisturbed):
    config = command.config("killed")
    process = command.start(config)
    command.wait_for("killed", 12, process)
    process.kill()
    process.communicate()
    assert len(command.rows("killed")) < 30
    status, output = command.run(config)
    assert status == 0, output
    assert "Resuming after step" in output
    rows, adapter = undisturbed
    assert command.rows("killed") == rows
    assert same_tensors(command.adapter("killed"), adapter)
    assert not list((command.folder("killed") / "states").glob(".begun_*"))


def test_interrupted_it_saves_and_says_so(command, undisturbed):
    process = command.start(command.config("stopped", steps=100_000))
    command.wait_for("stopped", 7, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=START_LIMIT)
    assert process.returncode == 130, output
    assert "The run is saved: the same command goes on from here." in output
    newest = sorted((command.folder("stopped") / "states").iterdir())[-1].name
    assert newest == f"state_{len(command.rows('stopped')):08}"
    assert not (command.base / "models" / "loras" / "CoInteract" / "stopped.safetensors").exists()


def test_two_processes_have_the_gradients_of_one_that_accumulates(command, undisturbed):
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("The package accelerate is not installed: pip install accelerate.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # accelerate starts several processes for GPUs only; told --cpu, the command takes two CPUs for them
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(port)]
    status, output = command.run(command.config("two", steps=3), launcher=launcher)
    assert status == 0, output
    status, output = command.run(command.config("one", steps=3, accumulation=2))
    assert status == 0, output
    two, one = command.rows("two"), command.rows("one")
    assert len(two) == len(one) == 3
    for ours, theirs in zip(two, one, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert bool(ours[name]) == bool(theirs[name]), name
            if ours[name]:
                assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=2e-5), name
    # AdamW's first moment is a mean of the steps' gradients
    states = [
        load_file(command.folder(name) / "states" / "state_00000003" / "optimiser.safetensors")
        for name in ("two", "one")
    ]
    moments = [name for name in states[0] if name.endswith("exp_avg")]
    assert len(moments) > 80
    for name in moments:
        largest = states[1][name].abs().max()
        assert (states[0][name] - states[1][name]).abs().max() <= 2e-5 * largest + 1e-12, name


def test_sample_videos_show_what_is_learnt_and_change_nothing(command, undisturbed):
    import probe_video

    status, output = command.run(command.config("sampled", steps=10, sample_every=5))
    assert status == 0, output
    videos = sorted((command.folder("sampled") / "samples").iterdir())
    assert [video.name for video in videos] == ["step_00000005.mp4", "step_00000010.mp4"]
    for video in videos:
        seen = probe_video.probe(video)
        assert (seen["frames"], seen["fps"], seen["width"], seen["height"]) == (8, 25, 64, 64)
        assert not seen["constant"]
        assert not seen["silent"]
    assert videos[0].read_bytes() != videos[1].read_bytes()
    rows, _ = undisturbed
    assert command.rows("sampled") == rows[:10]


def test_only_checking_writes_nothing(command):
    status, output = command.run(command.config("checked"), "--check")
    assert status == 0, output
    assert "1 of 1 rows can be used." in output
    assert not command.folder("checked").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("table = ", "tabel = "), "“tabel” is no setting in [data]"),
        (("wan2.2_s2v_14B_tiny", "no_such_base"), "base no_such_base.safetensors is not in models/diffusion_models"),
        (("data.csv", "no.csv"), "The table no.csv cannot be read"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(change, sentence, command):
    config = command.config("bad")
    config.write_text(config.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    status, output = command.run(config)
    assert status == 1
    assert sentence in output
    assert "Traceback" not in output
    assert not command.folder("bad").exists()
