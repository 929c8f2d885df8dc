"""Files that take another's place, also where Windows would refuse: stand-ins refuse here."""

from __future__ import annotations

import logging
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cointeract_pack.cointeract_core import files
from cointeract_pack.cointeract_core.checkpoint.save import save_tensors
from cointeract_pack.cointeract_core.clips.writer import ClipWriter
from cointeract_pack.cointeract_core.drawing.plot import save_picture
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.files import check_room, free_name, replaced
from cointeract_pack.cointeract_core.training.run import state as state_module
from cointeract_pack.cointeract_core.training.run.curves import CurveLog, read_rows
from cointeract_pack.cointeract_core.training.run.state import RunState, load_state, save_state, states

Usage = namedtuple("Usage", "total used free")


class Held:
    """Somebody holds files of some names open: as on Windows, nothing takes their place."""

    def __init__(self, monkeypatch, names, times=10**9):
        self.times, self.now = times, 0.0
        real = Path.replace

        def replace(path, target):
            if Path(target).name in names and self.times > 0:
                self.times -= 1
                raise PermissionError(13, "held", str(target))
            return real(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr(files.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(files.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.now += seconds


def write(path, text):
    with replaced(path) as done:
        done.beside.write_text(text, encoding="utf-8")
    return done.path


def test_a_short_look_at_a_file_is_waited_for(tmp_path, monkeypatch, caplog):
    write(tmp_path / "a.txt", "old")
    held = Held(monkeypatch, {"a.txt"}, times=5)
    assert write(tmp_path / "a.txt", "new").read_text(encoding="utf-8") == "new"
    assert held.now == pytest.approx(1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert not caplog.records


def test_what_stays_in_use_is_left_and_the_new_one_goes_beside(tmp_path, monkeypatch, caplog):
    write(tmp_path / "a.txt", "old")
    held = Held(monkeypatch, {"a.txt"})
    with caplog.at_level(logging.WARNING, "cointeract"):
        assert write(tmp_path / "a.txt", "new").name == "a2.txt"
        assert write(tmp_path / "a.txt", "newer").name == "a3.txt"
    assert held.now < 11
    assert sorted((path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()) == [
        ("a.txt", "old"), ("a2.txt", "new"), ("a3.txt", "newer")
    ]  # fmt: skip
    assert caplog.records[0].getMessage() == (
        "a.txt is held open by another program; what was to take its place is in a2.txt"
    )


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_what_was_not_finished_leaves_nothing(error, tmp_path):
    write(tmp_path / "a.txt", "old")

    def fail():
        with replaced(tmp_path / "a.txt") as done:
            done.beside.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(error):
        fail()
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_free_names_stay_readable(tmp_path):
    for name in ("ad.mp4", "ad2.mp4", "step_00000005.mp4"):
        (tmp_path / name).touch()
    names = [free_name(tmp_path / name).name for name in ("new.mp4", "ad.mp4", "step_00000005.mp4")]
    assert names == ["new.mp4", "ad3.mp4", "step_00000005_2.mp4"]


def test_every_writer_outlasts_a_file_in_use(tmp_path, monkeypatch):
    names = {"a.safetensors", "metrics.csv", "curves.png"}
    for name in names:
        (tmp_path / name).write_bytes(b"")
    Held(monkeypatch, names)
    written = save_tensors({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert load_file(written)["a"].tolist() == [1.0, 1.0]
    curves = CurveLog(tmp_path)
    curves.add(1, {"loss": 2.0})
    curves.close()
    assert [row.step for row in read_rows(tmp_path / "metrics2.csv")] == [1]
    save_picture(torch.zeros(1, 4, 4, 3), tmp_path / "curves.png")
    assert (tmp_path / "curves2.png").read_bytes().startswith(b"\x89PNG")


def test_a_video_that_is_watched_goes_on_under_another_name(tmp_path, monkeypatch):
    import av

    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", torch.zeros(1, 1, 16000), 16000)
    writer.add(torch.rand(5, 64, 48, 3))
    Held(monkeypatch, {"ad.mp4"})
    for _ in range(2):
        writer.add(torch.rand(5, 64, 48, 3))
    assert (writer.path.name, writer.frames) == ("ad2.mp4", 15)
    counts = {}
    for path in tmp_path.glob("*.mp4"):
        with av.open(str(path)) as video:
            counts[path.name] = sum(1 for _ in video.decode(video=0))
    assert counts == {"ad.mp4": 5, "ad2.mp4": 15}


FACTS = {"identity": {}, "optimiser": {}}


def made(step, value=1.0):
    return RunState(step, {"trained": {"a": torch.full((4,), value)}, "optimiser": {}, "average": {}}, FACTS)


def test_an_old_state_in_use_costs_no_run(tmp_path, monkeypatch, caplog):
    for step in (1, 2):
        save_state(tmp_path, made(step), 3)

    def refuse(folder, **_how):
        raise PermissionError(13, "mapped", str(folder))

    monkeypatch.setattr(state_module.shutil, "rmtree", refuse)
    with caplog.at_level(logging.WARNING, "cointeract"):
        save_state(tmp_path, made(3), 1)
    assert [path.name for path in states(tmp_path)] == ["state_00000003"]
    assert len(caplog.records) == 2
    assert "The old state state_00000001 cannot be removed" in caplog.records[0].getMessage()
    monkeypatch.undo()
    state_module.remove_begun(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["state_00000003"]


def test_the_same_step_again_beside_a_state_in_use_is_the_newer_one(tmp_path, monkeypatch):
    save_state(tmp_path, made(2), 0)
    Held(monkeypatch, {".begun_old_state_00000002"})
    saved = save_state(tmp_path, made(2, 5.0), 0)
    assert saved.name == "state_00000002_2"
    assert states(tmp_path)[-1] == saved
    assert load_state(saved).tensors["trained"]["a"].tolist() == [5.0] * 4


def test_a_large_group_is_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(state_module, "PART_BYTES", 100)
    tensors = {f"t{number}": torch.full((number * 5,), float(number)) for number in range(1, 9)}
    saved = save_state(tmp_path, RunState(1, {"trained": tensors, "average": {"a": torch.ones(1)}}, FACTS), 0)
    assert len(list(saved.glob("trained*.safetensors"))) > 3
    read = load_state(saved).tensors
    assert read["trained"].keys() == tensors.keys()
    assert all(torch.equal(read["trained"][name], tensor) for name, tensor in tensors.items())
    assert (read["optimiser"], list(read["average"])) == ({}, ["a"])


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(2e9, 1.9e9, 0.1e9))
    with pytest.raises(InputError) as caught:
        check_room(tmp_path, 17e9, "The state of step 100 takes", "free some")
    assert str(caught.value) == (
        f"The state of step 100 takes 17.0 GB, but only 0.1 GB are free where {tmp_path.name} lies; free some."
    )
    check_room(tmp_path, 0.05e9, "It takes", "free some")
