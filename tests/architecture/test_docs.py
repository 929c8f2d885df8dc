"""What the pages say of the code is read and compared: files, tests and nodes they name are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/comfyui.md", "docs/model.md", "docs/media.md")
PAGES += ("docs/performance.md", "docs/training.md", "docs/proof.md", "toy/README.md")
PLACES = ("", "cointeract_core", "tests", "tests/host", "cointeract_core/host", "toy")  # a name may begin here
ENDINGS = (".py", ".md", ".js", ".json", ".toml", ".yml", ".svg", ".png")
NAMED = re.compile(r"`([\w.-]+/[\w./-]*|[\w-]+\.(?:py|js|toml|yml))`")
MADE = {"clips/data.csv"}  # what a page tells users to make


def named_on(page: str) -> list[str]:
    """Files and folders of the project that a page names in code type."""
    return [name for name in NAMED.findall(page) if not name.startswith((".", "/", "models/", "output/"))]


def is_there(repo: Path, name: str, files: set[str]) -> bool:
    """Whether a name leads to a file or a folder, from one of the places, with or without its ending."""
    if "/" not in name:
        return any(path.rsplit("/", 1)[-1] == name for path in files)
    paths = [repo / place / name for place in PLACES]
    return any(path.exists() or path.with_suffix(".py").is_file() for path in paths)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(repo, tracked, page):
    files = {path.relative_to(repo).as_posix() for path in tracked}
    text = (repo / page).read_text(encoding="utf-8")
    tops = {name.split("/")[0] for name in files} | {name.split("/")[1] for name in files if name.count("/") > 1}
    ours = [name for name in named_on(text) if "/" not in name or name.split("/")[0] in tops]
    assert [name for name in ours if name not in MADE and not is_there(repo, name, files)] == []


def test_the_ways_through_the_house_lead_somewhere(repo):
    """Each line of the three walks and of the drawing begins with a file or a room."""
    page = (repo / "docs" / "architecture.md").read_text(encoding="utf-8")
    ways = page.split("## Three ways")[1].split("```")[1]
    steps = [name for name in re.findall(r"[a-z]+/[a-z_/]+", ways) if not name.startswith("audio_dim")]
    assert len(steps) > 15
    missing = [
        name for name in steps if not any((repo / top / f"{name}.py").is_file() for top in ("", "cointeract_core"))
    ]
    assert missing == []


def test_behaviours_have_a_file_and_a_test(repo):
    page = (repo / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:4] for row in page.split("## Where is it")[1].split("\n## ")[0].splitlines() if "`" in row]
    assert len(rows) >= 10
    for behaviour, files, tests in rows:
        for name in re.findall(r"`([^`]+)`", files):
            assert any((repo / place / name).is_file() for place in PLACES), f"{behaviour}: {name}"
        for name in re.findall(r"`([^`]+)`", tests):
            assert (repo / "tests" / name).is_file(), f"{behaviour}: {name}"


def test_the_readme_lists_every_node(repo, pack):
    """By the name the page shows, as each schema has it."""
    shown = []
    for source in pack:
        if source.name.startswith("nodes/"):
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "node_schema":
                    given = {keyword.arg: keyword.value for keyword in node.keywords}
                    name = given.get("display_name") or node.args[1]
                    shown.append(ast.literal_eval(name))
    assert len(shown) > 12
    rows = (repo / "README.md").read_text(encoding="utf-8").split("## Nodes")[1].split("\n## ")[0]
    listed = [name.strip() for row in re.findall(r"^\|([^|]+)\|", rows, re.MULTILINE) for name in row.split(",")]
    assert sorted(set(listed) - {"node", "---"}) == sorted(shown)


def test_the_versions_of_comfyui_are_the_same_everywhere(repo, pack):
    """`version.py` decides; the README, the project file and the workflow that tests follow."""
    source = next(source for source in pack if source.name == "cointeract_core/host/version.py")
    constants = {ast.unparse(node.targets[0]): node.value for node in source.tree.body if isinstance(node, ast.Assign)}
    oldest, newest = (".".join(map(str, ast.literal_eval(constants[name]))) for name in ("OLDEST_HOST", "NEWEST_HOST"))
    assert f"ComfyUI {oldest} or newer" in (repo / "README.md").read_text(encoding="utf-8")
    assert f'requires-comfyui = ">={oldest}"' in (repo / "pyproject.toml").read_text(encoding="utf-8")
    workflow = (repo / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert f'comfyui: ["v{oldest}", "v{newest}"]' in workflow
