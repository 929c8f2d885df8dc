"""The project's files, parsed once."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PACK = ("nodes", "cointeract_core")  # with __init__.py: what a user's ComfyUI runs
OWN_CODE = (*PACK, "scripts", "benchmarks", "tests")


@dataclass(frozen=True)
class Source:
    """A Python file: its name below the checkout, text and syntax tree."""

    name: str
    text: str
    tree: ast.Module


def _listed(repo: Path) -> list[Path]:
    """Files git knows or would add; in an unpacked archive, everything but hidden folders."""
    command = ["git", "-C", str(repo), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
        names = done.stdout.decode().split("\0") if not done.returncode else []
    except FileNotFoundError:
        names = []
    if not names:
        names = [str(path.relative_to(repo)) for path in repo.rglob("*")]
        names = [name for name in names if not any(part in {".venv", ".comfyui", ".git"} for part in Path(name).parts)]
    return sorted(repo / name for name in set(names) if name and (repo / name).is_file())


@pytest.fixture(scope="session")
def tracked(repo: Path) -> list[Path]:
    """Every file of the project."""
    return _listed(repo)


@pytest.fixture(scope="session")
def sources(repo: Path, tracked: list[Path]) -> list[Source]:
    """Every Python file of the project."""
    found = []
    for path in tracked:
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            found.append(Source(path.relative_to(repo).as_posix(), text, ast.parse(text)))
    assert any(source.name == "cointeract_core/constants.py" for source in found)
    return found


@pytest.fixture(scope="session")
def pack(sources: list[Source]) -> list[Source]:
    """The Python files that a user's ComfyUI runs."""
    return [source for source in sources if source.name == "__init__.py" or source.name.split("/")[0] in PACK]
