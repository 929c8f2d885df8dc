"""People and rooms are found in renders of their own scene and in no other's; goals, means and the table are right."""

from __future__ import annotations

import ast
import math
import sys

import numpy as np
import pytest

from cointeract_pack.toy import generation, recipe
from cointeract_pack.toy.dataset import MOTION
from cointeract_pack.toy.held_out import PARTS, TEST
from cointeract_pack.toy.measure import Kept, Settings, find_file, sheet
from cointeract_pack.toy.scores import GOALS, PARTS_OF_SCENE, PERSON, ROWS, WALL, Goal, Judge, Setting, table
from cointeract_pack.toy.world.render import frame, frames

SCENES = 8
COUNT = 12  # frames, a second apart from those the places come from


@pytest.fixture(scope="module")
def scenes():
    return PARTS[TEST].take(SCENES)


def row(**values: float) -> dict[str, float]:
    return dict.fromkeys(ROWS, 1.0) | values


@pytest.mark.parametrize("number", range(SCENES))
def test_a_person_is_found_in_renders_of_its_scene(scenes, number):
    scene = scenes[number]
    found = Setting(scene).numbers(frames(scene, MOTION, COUNT))
    assert found == dict.fromkeys(("person", *PARTS_OF_SCENE), 1.0)


@pytest.mark.parametrize("part", PARTS_OF_SCENE)
def test_another_scene_s_colours_are_not_taken_for_its_own(scenes, part):
    def own(scene):
        return scene.room.wall if part == WALL else getattr(scene.person, part)

    told = 0
    for one, other in zip(scenes, (*scenes[1:], scenes[0]), strict=True):
        if own(one) != own(other):
            found = Setting(one).numbers(frames(other, MOTION, 4))
            assert found[part] == 0
            assert found["person"] == 0 or part == WALL
            told += 1
    assert told >= 3


def test_a_person_elsewhere_is_not_right(scenes):
    moved = np.roll(frame(scenes[0], MOTION), 40, axis=1)
    assert Setting(scenes[0]).numbers(moved[None])["person"] == 0


def test_a_scene_s_own_renders_reach_what_does_not_move_with_time(scenes):
    found = Judge(scenes[0]).of_renders(40, (20,))
    assert tuple(found) == tuple(ROWS)
    assert all(GOALS[name].reached(found[name]) for name in ("person", "product", "held", "mouth"))
    assert found["jump"] > 0
    assert math.isnan(Judge(scenes[0]).of_renders(8)["jump"])


def test_goals_have_a_side():
    assert Goal(0.6).reached(0.6)
    assert not Goal(0.6).reached(0.59)
    assert Goal(1.3, at_least=False).reached(1.3)
    assert not Goal(1.3, at_least=False).reached(1.31)
    assert not Goal(0.6).reached(math.nan)
    assert (GOALS["mouth"].bound, GOALS["jump"].bound) == (0.6, 1.3)
    assert set(GOALS) | set(PERSON) <= set(ROWS)


def cells(lines: list[str], name: str) -> list[str]:
    return next(line for line in lines if line.startswith(f"| {name}")).strip("| ").split(" | ")[1:]


def test_the_table_tells_mean_worst_and_who_reaches_the_goal():
    rows = [row(mouth=0.8, jump=1.0, contact=0.5), row(mouth=0.4, jump=1.5, contact=math.nan), row(jump=1.2)]
    lines = list(table(rows, [row(mouth=0.99), row(mouth=0.97), row()]))
    assert cells(lines, "mouth") == ["0.99", "0.73", "0.40", "≥ 0.6", "67%"]
    assert cells(lines, "jump") == ["1.00", "1.23", "1.50", "≤ 1.3", "67%"]
    assert cells(lines, "contact") == ["1.00", "0.75", "1.00", "-", "-"]
    assert cells(lines, "all goals")[-1] == "67%"
    assert len(lines) == 3 + len(ROWS)


def test_a_video_of_one_clip_has_no_goal_for_its_join():
    lines = list(table([row(jump=math.nan)], [row(jump=math.nan)]))
    assert cells(lines, "jump") == ["-", "-", "-", "≤ 1.3", "-"]
    assert cells(lines, "all goals")[-1] == "100%"


def test_a_table_of_nothing_is_refused():
    with pytest.raises(ValueError, match="--scenes"):
        list(table([], []))


def test_settings_know_frames_and_joins():
    assert (Settings("a", "").frames, Settings("a", "").joins) == (160, (80,))
    assert (Settings("a", "", clips=3).frames, Settings("a", "", clips=3).joins) == (240, (80, 160))
    assert (Settings("a", "", clips=1, latents=4).frames, Settings("a", "", clips=1, latents=4).joins) == (16, ())


def test_videos_are_kept_without_a_loss_and_apart(tmp_path, scenes):
    pictures = frames(scenes[0], MOTION, 4)
    kept = Kept(tmp_path, "toy", Settings("a", ""))
    assert not kept.has(scenes[0])
    kept.put(scenes[0], pictures)
    assert np.array_equal(Kept(tmp_path, "toy", Settings("a", "")).get(scenes[0]), pictures)
    for other in (Settings("b", ""), Settings("a", "b"), Settings("a", "", guidance=1.0)):
        assert not Kept(tmp_path, "toy", other).has(scenes[0])
    assert [path for path in kept.folder.iterdir() if path.name.endswith(".part")] == []


def test_a_model_is_found_by_path_and_by_name(tmp_path):
    file = tmp_path / "models" / "loras" / "CoInteract" / "one.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_file(tmp_path, "adapter", "CoInteract/one.safetensors") == file
    assert find_file(tmp_path, "model", str(file)) == file
    with pytest.raises(ValueError, match="model two is no file"):
        find_file(tmp_path, "model", "two")


def test_a_sheet_has_a_pair_of_rows_for_each_scene(scenes):
    videos = [frames(scene, MOTION, 8) for scene in scenes[:2]]
    one, two = sheet(scenes[:1], videos[:1]), sheet(scenes[:2], videos)
    assert one.dtype == np.uint8
    assert one.shape[1:] == two.shape[1:]
    assert two.shape[0] - one.shape[0] > 2 * 2 * 128


def test_sampling_is_as_in_training():
    assert generation.SHIFT == recipe.SHIFT


def test_the_numbers_of_sampling_are_there_before_anything_is_installed(repo):
    """The demo reads them with whatever Python starts it."""
    tree = ast.parse((repo / "toy" / "generation.py").read_text(encoding="utf-8"))
    loaded = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    loaded |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert loaded <= sys.stdlib_module_names
