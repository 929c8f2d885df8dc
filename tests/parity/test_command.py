"""The verification as a command: a line per file, and an exit status that tells."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def verify(host: Path, repo: Path):
    def run(directory: Path) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-m", "cointeract_core.verify", str(directory)],
            cwd=repo,
            env={**os.environ, "PYTHONPATH": str(host)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, (done.stdout or done.stderr).splitlines()

    return run


def test_files_that_hold(verify, golden_dir, tmp_path):
    shutil.copy(golden_dir / "schedule.json", tmp_path / "another_schedule.json")
    shutil.copy(golden_dir / "dit" / "dit_base.safetensors", tmp_path / "dit_base_seed7.safetensors")
    status, lines = verify(tmp_path)
    assert status == 0
    assert [line.split()[:2] for line in lines] == [
        ["another_schedule.json", "ok"],
        ["dit_base_seed7.safetensors", "ok"],
        ["2", "of"],
    ]


def test_files_that_do_not(verify, golden_dir, tmp_path):
    whole = (golden_dir / "dit" / "dit_base.safetensors").read_bytes()
    (tmp_path / "dit_base.safetensors").write_bytes(whole[:-1])
    (tmp_path / "schedule.json").write_text((golden_dir / "schedule.json").read_text().replace("0.9", "0.8"))
    (tmp_path / "training_step.json").write_text("{}")
    (tmp_path / "else.json").write_text("{}")
    shutil.copy(golden_dir / "rope_positions.json", tmp_path)
    status, lines = verify(tmp_path)
    assert status == 1
    verdicts = {line.split()[0]: line.split()[1] for line in lines[:-1]}
    assert verdicts.pop("rope_positions.json") == "ok"
    assert set(verdicts.values()) == {"FAIL"}
    assert len(verdicts) == 4
    assert lines[-1] == "1 of 5 files hold"


def test_an_empty_directory_is_no_success(verify, tmp_path):
    status, lines = verify(tmp_path)
    assert status == 2
    assert lines == [f"{tmp_path} holds no .safetensors or .json file; name a directory of golden files."]


def test_without_files_comfyui_is_tried(host, repo):
    command = [sys.executable, "-m", "cointeract_core.verify"]
    environment = {**os.environ, "PYTHONPATH": str(host)}
    done = subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"CoInteract works on ComfyUI [\d.]+ as it should: 3 checks\.\n", done.stdout)


def test_it_finds_the_comfyui_it_is_installed_in(host, repo, tmp_path):
    """As ComfyUI Manager leaves it: in custom_nodes, with nothing on Python's path."""
    tree = tmp_path / "ComfyUI"
    pack = tree / "custom_nodes" / "CoInteract"
    pack.mkdir(parents=True)
    for entry in host.iterdir():
        if entry.name != "custom_nodes":
            (tree / entry.name).symlink_to(entry)
    shutil.copytree(repo / "cointeract_core", pack / "cointeract_core", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "cointeract_core.verify"]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=pack, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"CoInteract works on ComfyUI \S+ as it should: 3 checks\.\n", done.stdout)


def test_without_a_comfyui_it_asks_for_one(repo):
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "cointeract_core.verify"]
    done = subprocess.run(command, cwd=repo, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "No ComfyUI was found: name its folder with --comfyui.\n"
