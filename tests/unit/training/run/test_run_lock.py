"""Two runs of one name, and what killed ones leave behind."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from cointeract_pack.cointeract_core import leftovers
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.leftovers import MARK, beside, is_running, sweep, writer_mark
from cointeract_pack.cointeract_core.training.run.run_lock import LOCK, run_lock

HOLD = """
import sys, time, types
from pathlib import Path
pack = types.ModuleType("pack"); pack.__path__ = [sys.argv[1]]; sys.modules["pack"] = pack
from pack.cointeract_core.training.run.run_lock import run_lock
with run_lock(Path(sys.argv[2]), "mine"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(repo, tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(repo), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def gone():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_is_refused_and_told_who_holds_it(other, tmp_path):
    with pytest.raises(InputError) as refusal, run_lock(tmp_path, "mine"):
        pytest.fail("two runs in one folder")
    year = time.localtime().tm_year
    text = str(refusal.value)
    assert text.startswith(
        f"The run mine is being trained already, by process {other.pid} on {platform.node()} since {year}-"
    )
    assert text.endswith("but only one may write into its folder; wait for it, stop it, or choose another name.")


def test_one_that_was_killed_holds_nothing(other, tmp_path):
    other.kill()
    other.wait()
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == other.pid  # it could not clear that away
    with run_lock(tmp_path, "mine"):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_it_is_free_again_afterwards_also_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "new", "mine"):
            raise ZeroDivisionError
    assert (tmp_path / "new" / LOCK).read_text() == ""


def test_two_in_one_process_exclude_each_other_too(tmp_path):
    refused = pytest.raises(InputError, match=f"by process {os.getpid()}")
    with run_lock(tmp_path, "mine"), run_lock(tmp_path / "other", "other"), refused, run_lock(tmp_path, "mine"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}', "\xff"])
def test_a_lock_whose_text_cannot_be_read(text, other, tmp_path):
    (tmp_path / LOCK).write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="by another process, but only one"), run_lock(tmp_path, "mine"):
        pass


def test_only_what_a_dead_process_of_this_machine_wrote_is_swept(tmp_path, other):
    host, dead = writer_mark().rpartition(".")[0], gone()
    swept = [f".a.safetensors.{host}.{dead}.part", f".metrics.csv.{host}.{dead}.part"]
    swept += [f".cointeract_ad_00001_.{host}.{dead}_ab3_x9.part.mp4"]
    kept = [f".a.safetensors.{host}.{os.getpid()}.part", f".a.safetensors.{host}.{other.pid}.part"]
    kept += [
        f".a.safetensors.elsewhere.{dead}.part",
        ".a.part",
        "a.safetensors",
        f"a.{host}.{dead}.part",
        ".b.part.mp4",
    ]
    for name in (*swept, *kept):
        (tmp_path / name).write_bytes(b"half")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, LOCK])
    sweep(tmp_path / "not there")


def test_names_carry_their_writers_mark(tmp_path, monkeypatch):
    found = MARK.search(beside(tmp_path / "a.b.safetensors").name)
    assert (found["host"], int(found["pid"])) == (writer_mark().rpartition(".")[0], os.getpid())
    monkeypatch.setattr(leftovers.platform, "node", lambda: "My Mac.local_ü" * 9)
    assert MARK.search(beside(tmp_path / "a").name)["host"] == writer_mark().rpartition(".")[0]
    monkeypatch.setattr(leftovers.platform, "node", lambda: "")
    assert MARK.search(beside(tmp_path / "a").name)["host"] == "host"


def test_running_processes_are_known(other):
    assert is_running(os.getpid())
    assert is_running(other.pid)
    assert not is_running(gone())
    assert is_running(10**30)  # it cannot be told
