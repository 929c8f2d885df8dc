"""The rooms of the pack and the arrows between them: a room imports from the floors below its own, and no circles.

`docs/architecture.md` draws the same house; `FLOORS` is where it is decided.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

# from the ground up; rooms of one floor do not know of each other
FLOORS: tuple[tuple[str, ...], ...] = (
    ("core",),  # the files of cointeract_core itself: constants, errors, sizes, files
    ("model", "conditioning", "drawing", "checkpoint"),
    ("media", "clips"),
    ("training/settings",),
    ("training/table",),
    ("training/step",),
    ("training/run",),
    ("host",),  # its own files: the contract with ComfyUI, its forms and versions
    ("host/model",),
    ("host/files", "host/page"),
    ("host/video",),
    ("host/train",),
    ("verify/recordings",),
    ("verify",),
    ("commands", "nodes"),
    ("entry",),  # __init__.py of the pack
)
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}
DOORWAY = "__main__.py"  # a name people type; it starts a command
MOST_FILES = 14  # of a folder


def room_of(name: str) -> str:
    """The room a file of the pack lies in."""
    folders = name.split("/")[:-1]
    if not folders:
        return "entry"
    return "/".join(folders[1:]) or "core" if folders[0] == "cointeract_core" else folders[0]


@pytest.fixture(scope="module")
def arrows(pack) -> dict[str, set[str]]:
    """Which files of the pack each one imports, also where only a type checker looks."""
    names = {source.name for source in pack}
    found: dict[str, set[str]] = defaultdict(set)
    for source in pack:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            folders = source.name.split("/")[: -node.level] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                places = ("/".join([*folders, alias.name]) + ".py", "/".join(folders) + ".py")
                place = next((place for place in places if place in names), "/".join([*folders, "__init__.py"]))
                assert place in names, f"{source.name}:{node.lineno} leads nowhere"
                found[source.name].add(place)
    assert len(found) > 100
    return found


def test_every_room_has_its_floor(pack):
    assert {room_of(source.name) for source in pack} - set(HEIGHT) - {"training"} == set()


def test_rooms_import_from_the_floors_below(arrows):
    wrong = []
    for name, places in arrows.items():
        for place in places:
            here, there = room_of(name), room_of(place)
            if here != there and not name.endswith(DOORWAY) and HEIGHT[there] >= HEIGHT[here]:
                wrong.append(f"{name} ({here}) imports {place} ({there})")
    assert wrong == []


def test_no_two_files_import_each_other(arrows):
    """Nor any longer circle."""
    circles: list[str] = []
    finished: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circles.append(" -> ".join([*way[way.index(name) :], name]))
        elif name not in finished:
            for place in sorted(arrows.get(name, ())):
                visit(place, (*way, name))
            finished.add(name)

    for name in sorted(arrows):
        visit(name, ())
    assert circles == []


def test_the_scripts_are_no_circle_either(sources):
    names = {source.name for source in sources if source.name.startswith("scripts/")}
    arrows = defaultdict(set)
    for source in sources:
        if source.name in names:
            for node in ast.walk(source.tree):
                if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    inner = [f"{node.module}.{alias.name}" for alias in node.names]
                    for module in (node.module, *inner):
                        place = f"scripts/{module.replace('.', '/')}.py"
                        if place in names:
                            arrows[source.name].add(place)
    mutual = [(one, other) for one, places in arrows.items() for other in places if one in arrows.get(other, ())]
    assert arrows
    assert mutual == []


def test_every_room_says_what_lives_there(repo, pack):
    """In its `__init__`: what it holds, and what may be imported from it."""
    silent = []
    for source in pack:
        if source.name.endswith("/__init__.py") and source.name.startswith("cointeract_core/"):
            words = ast.get_docstring(source.tree) or ""
            if len(words.splitlines()) < 2 or len(source.tree.body) != 1:
                silent.append(source.name)
    assert silent == []


def test_folders_hold_no_more_than_one_finds_one_s_way_in(repo, tracked):
    full = defaultdict(int)
    for path in tracked:
        full[path.relative_to(repo).parent.as_posix()] += 1
    assert {folder: count for folder, count in full.items() if count > MOST_FILES} == {}


def test_the_page_about_the_house_names_every_room(repo):
    page = Path(repo / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [room for floor in FLOORS for room in floor if room not in {"core", "entry"}]
    assert [room for room in rooms if f"`{room}/`" not in page] == []


def test_the_page_says_of_a_room_what_the_room_says_of_itself(repo, pack):
    page = (repo / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([a-z_/]+)/` \| (.+) \|$", page, re.MULTILINE))
    assert len(shown) > 15
    for source in pack:
        room = room_of(source.name)
        if source.name.endswith("/__init__.py") and room in shown:
            assert shown[room] == (ast.get_docstring(source.tree) or "").splitlines()[0]
