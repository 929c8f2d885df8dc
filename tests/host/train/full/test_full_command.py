"""Full training as its own process: killed and resumed, as two processes, with sample videos, and what it leaves."""

from __future__ import annotations

import importlib.util
import socket

import pytest
import torch
from safetensors.torch import load_file

from cointeract_pack.tests.host.train.test_command import Command, own_base, same_tensors

STEPS = 8
COARSE = 2.0**-6  # of a loss whose products have 8 bits


class FullCommand(Command):
    """With every parameter trained, two samples in a batch."""

    def config(self, name, steps=STEPS, accumulation=1, sample_every=0, batch_size=2, **more):
        path = super().config(name, steps, accumulation, sample_every)
        text = path.read_text(encoding="utf-8").replace("[model]\n", '[model]\ntrain = "full"\n')
        text = text.replace("[optimizer]\n", f"[optimizer]\nbatch_size = {batch_size}\n").replace("= 5", "= 2")
        path.write_text(text.replace("save_every = 5", "save_every = 2"), encoding="utf-8")
        return path

    def edited(self, name, old, new, **how):
        """The settings of a run, with one place of their text changed."""
        path = self.config(name, **how)
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return path

    def base_of(self, name):
        return self.base / "models" / "diffusion_models" / "CoInteract" / f"{name}.safetensors"


@pytest.fixture(scope="module")
def command(repo, host, base_directory, tmp_path_factory):
    return FullCommand(repo, host, own_base(base_directory, tmp_path_factory.mktemp("full training base")))


@pytest.fixture(scope="module")
def undisturbed(command):
    status, output = command.run(command.config("whole", sample_every=4))
    assert status == 0, output
    assert output.rstrip().endswith("diffusion_models/CoInteract/whole.safetensors")
    return command.rows("whole"), load_file(command.base_of("whole"))


def test_it_leaves_a_base_and_no_adapter(command, undisturbed):
    rows, base = undisturbed
    assert len(rows) == STEPS
    before = load_file(command.base / "models" / "diffusion_models" / "wan2.2_s2v_14B_tiny.safetensors")
    assert before.keys() < base.keys()
    assert {tensor.dtype for tensor in base.values()} == {torch.bfloat16}
    moved = [name for name in before if not torch.equal(before[name].float(), base[name].float())]
    assert {"patch_embedding.weight", "blocks.1.ffn.0.weight", "head.head.weight"} <= {*moved}
    assert not (command.base / "models" / "loras" / "CoInteract").exists()


def test_killed_and_resumed_it_ends_where_an_undisturbed_run_ends(command, undisturbed):
    """Which made videos on its way; this one makes none."""
    config = command.config("killed")
    process = command.start(config)
    command.wait_for("killed", 3, process)
    process.kill()
    process.communicate()
    assert len(command.rows("killed")) < STEPS
    status, output = command.run(config)
    assert status == 0, output
    assert "Resuming after step" in output
    rows, base = undisturbed
    assert command.rows("killed") == rows
    assert same_tensors(load_file(command.base_of("killed")), base)


def test_products_in_bfloat16_change_little(command, undisturbed):
    config = command.edited("coarse", "[model]\n", '[model]\ncompute_dtype = "bfloat16"\n', steps=1)
    status, output = command.run(config)
    assert status == 0, output
    coarse, fine = (float(rows[0]["rgb"]) for rows in (command.rows("coarse"), undisturbed[0]))
    assert coarse != fine
    assert coarse == pytest.approx(fine, rel=COARSE)


def test_sample_videos_show_the_model_as_it_is(command, undisturbed):
    videos = sorted((command.folder("whole") / "samples").iterdir())
    assert [video.name for video in videos] == ["step_00000004.mp4", "step_00000008.mp4"]
    assert videos[0].read_bytes() != videos[1].read_bytes()


def test_two_processes_have_the_gradients_of_one(command, undisturbed):
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("The package accelerate is not installed: pip install accelerate.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(port)]
    for name, how, started in (("two", {"batch_size": 2}, launcher), ("one", {"batch_size": 4}, ())):
        status, output = command.run(command.config(name, steps=2, **how), launcher=started)
        assert status == 0, output
    two, one = command.rows("two"), command.rows("one")
    assert len(two) == len(one) == 2
    for ours, theirs in zip(two, one, strict=True):
        for name in ours:
            assert bool(ours[name]) == bool(theirs[name]), name
            if ours[name]:
                assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name
    states = [
        load_file(command.folder(name) / "states" / "state_00000002" / "optimiser.safetensors")
        for name in ("two", "one")
    ]
    assert states[0].keys() == states[1].keys()
    moments = [name for name in states[0] if name.endswith("exp_avg")]
    assert len(moments) > 80
    for name in moments:
        largest = states[1][name].abs().max()
        assert (states[0][name] - states[1][name]).abs().max() <= 1e-3 * largest + 1e-9, name


def test_it_starts_from_the_base_it_left(command, undisturbed):
    config = command.edited("next", "wan2.2_s2v_14B_tiny", "CoInteract/whole", steps=1)
    status, output = command.run(config)
    assert status == 0, output
    assert load_file(command.base_of("next")).keys() == undisturbed[1].keys()


def test_its_own_base_as_the_start_is_one_sentence(command, undisturbed):
    config = command.edited("whole", "wan2.2_s2v_14B_tiny", "CoInteract/whole")
    status, output = command.run(config, "--check")
    assert status == 1
    assert "base CoInteract/whole.safetensors is where this run would write its own base" in output
    assert "Traceback" not in output
