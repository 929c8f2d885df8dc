"""What the registry, pip and ComfyUI Manager read."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cointeract_pack.cointeract_core.host import version as version_module

IMPORTED_AS = {"librosa": "librosa", "opencv-python": "cv2", "einops": "einops", "safetensors": "safetensors"}


@pytest.fixture(scope="module")
def pyproject(repo: Path) -> dict[str, Any]:
    if sys.version_info < (3, 11):
        pytest.skip("This Python has no tomllib; a newer one checks pyproject.toml.")
    import tomllib

    return tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))


def test_name_is_one_the_registry_takes(pyproject):
    name = pyproject["project"]["name"]
    assert re.fullmatch(r"[a-z][a-z0-9._-]{0,98}", name)
    assert "comfyui" not in name.lower()


def test_version_is_semantic_and_in_the_changelog(pyproject, repo):
    version = pyproject["project"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"## [{version}]" in (repo / "CHANGELOG.md").read_text(encoding="utf-8")


def test_publisher_and_repository(pyproject):
    assert pyproject["tool"]["comfy"]["PublisherId"] == "cointeract"
    assert pyproject["tool"]["comfy"]["DisplayName"] == "CoInteract"
    assert pyproject["project"]["urls"]["Repository"] == "https://github.com/cointeract/ComfyUI-CoInteract"


def test_oldest_host_is_stated_as_it_is_checked(pyproject):
    oldest = ".".join(map(str, version_module.OLDEST_HOST))
    assert pyproject["tool"]["comfy"]["requires-comfyui"] == f">={oldest}"


def test_requirements_are_the_same_in_both_places(pyproject, repo):
    listed = (repo / "requirements.txt").read_text(encoding="utf-8").split()
    assert listed == list(IMPORTED_AS)
    assert pyproject["project"]["dependencies"] == listed


@pytest.mark.parametrize("requirement", IMPORTED_AS)
def test_each_requirement_is_used(requirement, repo):
    modules = set()
    for folder in ("cointeract_core", "nodes"):
        for path in (repo / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                modules |= {name.split(".")[0] for name in names}
    assert IMPORTED_AS[requirement] in modules


def test_licence_fits_the_hosts(pyproject, repo):
    assert pyproject["project"]["license"] == {"file": "LICENSE"}
    licence = (repo / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in licence
    assert "Version 3, 29 June 2007" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (repo / "NOTICE").read_text(encoding="utf-8")
    for part in ("luoxyhappy/CoInteract", "Apache License, Version 2.0", "2604.19636", "ComfyUI"):
        assert part in notice


def test_what_runs_is_published_and_the_rest_is_not(repo):
    lines = (repo / ".comfyignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.rstrip("/") for line in lines if line and not line.startswith("#")]

    def published(name: str) -> bool:
        return not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

    needed = ["__init__.py", "nodes", "cointeract_core", "web", "workflows", "subgraphs", "requirements.txt", "LICENSE"]
    needed.append("NOTICE")
    assert [name for name in needed if not published(name) or not (repo / name).exists()] == []
    assert [name for name in ("tests", "scripts", "benchmarks", ".ci", "docs") if published(name)] == []


def test_workflow_folder_holds_page_format_and_pictures_only(repo):
    import json

    for path in (repo / "workflows").iterdir():
        if path.suffix == ".json":
            page = json.loads(path.read_text(encoding="utf-8"))
            assert {"nodes", "links", "groups", "version"} <= set(page)
            assert path.with_suffix(".jpg").is_file()
        else:
            assert path.suffix == ".jpg"
            assert path.with_suffix(".json").is_file()
