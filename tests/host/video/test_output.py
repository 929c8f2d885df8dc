"""Where a video goes in ComfyUI's own output folder, whatever name is typed in."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import folder_paths
import pytest

from cointeract_pack.cointeract_core.errors import CoInteractError, InputError
from cointeract_pack.cointeract_core.host.files.workflow import widget_values
from cointeract_pack.cointeract_core.host.video.made import remember
from cointeract_pack.cointeract_core.host.video.output import new_video_paths
from cointeract_pack.nodes.sampling import Sampler
from cointeract_pack.tests.unit.core.mutations import mutated

PROMPT = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 42, "model": ["1", 0]}, "_meta": {"title": "First"}},
    "4": {"class_type": "KSampler", "inputs": {"seed": 43}, "_meta": {"title": "Second"}},
    "5": {"class_type": "Note"},
}
PREFIXES = ["CoInteract/ad", "ad_%date:yyyy-MM-dd%", "a/b/c/%width%x%height%", "%KSampler.seed%", "ä b/%year%"]
COUNT = int(os.environ.get("COINTERACT_FUZZ", "400"))


@pytest.fixture
def output(tmp_path, monkeypatch):
    """An output and a temp folder of this test's own."""
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


def test_the_hosts_own_patterns_come_to_the_same(output):
    """As its own save nodes name files, which replace these in the backend."""
    prefix = "%width%x%height%/%year%-%month%-%day%/ad"
    folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, str(output.resolve()), 480, 832)
    path, work = new_video_paths(prefix, 480, 832)
    assert path == Path(folder) / f"{name}_{counter:05}_.mp4"
    assert work.is_dir()


def test_dates_and_values_are_filled(output):
    path, _ = new_video_paths("%date:yyyy%/%KSampler.seed%", 1, 1, widget_values(PROMPT, None))
    assert path.relative_to(output.resolve()).as_posix() == f"{time.localtime().tm_year}/42_00001_.mp4"


def test_nodes_are_found_as_the_page_finds_them():
    page = {"workflow": {"nodes": [{"id": 4, "properties": {"Node name for S&R": "Noise"}, "title": "Mine"}]}}
    value = widget_values(PROMPT, page)
    assert value("Noise", "seed") == 43
    assert value("KSampler", "seed") == 42
    assert value("Mine", "seed") == 43
    assert value("First", "seed") == 42
    assert value("First", "model") is None  # wired
    assert value("Note", "text") is None
    assert value("Nobody", "seed") is None
    assert widget_values(None, None)("KSampler", "seed") is None
    assert widget_values(PROMPT, {"workflow": {"nodes": "none"}})("Second", "seed") == 43


def test_a_folder_that_leads_out_is_refused(output, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (output / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="does not name a file inside"):
        new_video_paths("link/ad", 1, 1)


def test_a_file_in_the_place_of_a_folder_is_refused(output):
    (output / "ad").write_text("a file")
    with pytest.raises(InputError, match="this system cannot make such a file"):
        new_video_paths("ad/ad", 1, 1)


def test_the_node_refuses_a_name_before_anything_runs():
    assert Sampler.validate_inputs(filename_prefix="CoInteract/%date:yyyy-MM-dd%/%KSampler.seed%") is True
    assert Sampler.validate_inputs(filename_prefix=None) is True
    assert "holds ':'" in Sampler.validate_inputs(filename_prefix="a:b")


def test_whatever_is_typed_gives_a_path_or_a_sentence(output):
    made = 0
    for number in range(COUNT):
        prefix = mutated(random.Random(number).choice(PREFIXES), random.Random(number), PREFIXES)
        try:
            path, work = new_video_paths(prefix, 480, 832, widget_values(PROMPT, None))
        except CoInteractError as error:
            if len(str(error)) > 1000:
                pytest.fail(f"{number}: {str(error)[:2000]}")
            continue
        except BaseException as error:
            pytest.fail(f"{number}: {type(error).__name__}: {error} from {prefix[:300]!r}")
        assert path.resolve().is_relative_to(output.resolve())
        work.rmdir()
        made += 1
    assert 0 < made < COUNT


TYPED = {"seed": 7, "steps": 2, "cfg": 7.0, "filename_prefix": "ad", "negative_until": 1.0}


def finished(output, name, **values):
    """A sampler's file, recorded as when it is done."""
    path = output / name
    path.write_bytes(b"mp4")
    remember({"5": {"inputs": {**TYPED, **values, "model": ["1", 0], "other": 1}}}, "5", path)
    return path


def test_the_sampler_runs_again_only_where_its_file_is_gone(output):
    assert Sampler.fingerprint_inputs(**TYPED) == 0  # before it has run
    first = finished(output, "ad_00001_.mp4")
    assert Sampler.fingerprint_inputs(**TYPED) == Sampler.fingerprint_inputs(**TYPED, model=None) == 0
    first.rename(output / "moved.mp4")
    assert Sampler.fingerprint_inputs(**TYPED) == 1
    assert Sampler.fingerprint_inputs(**TYPED) == 1  # asked again, before it has run again
    again = finished(output, "ad_00002_.mp4")
    assert Sampler.fingerprint_inputs(**TYPED) == 1  # kept again
    again.unlink()
    assert Sampler.fingerprint_inputs(**TYPED) == 2


def test_a_file_of_other_values_says_nothing(output):
    finished(output, "ad_00001_.mp4", seed=8).unlink()
    assert Sampler.fingerprint_inputs(**TYPED) == 0
    assert Sampler.fingerprint_inputs(**{**TYPED, "seed": 8}) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": 1}', "[" * 100_000])
def test_a_damaged_record_says_nothing(text, output):
    path = finished(output, "ad_00001_.mp4")
    (record,) = Path(folder_paths.get_temp_directory()).glob("cointeract_made_*.json")
    record.write_text(text, encoding="utf-8")
    path.unlink()
    assert Sampler.fingerprint_inputs(**TYPED) == 0


def test_without_a_workflow_nothing_is_recorded(output):
    remember(None, None, output / "ad.mp4")
    remember({"5": None}, "5", output / "ad.mp4")
    assert not list(output.parent.rglob("cointeract_made_*"))
