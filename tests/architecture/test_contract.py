"""What the pack reaches into ComfyUI for is what `host/contract.py` lists, no more and no less."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cointeract_pack.cointeract_core.host.contract import LATER, SAME, TOUCHED
from cointeract_pack.tests.architecture.test_imports import HOST_MODULES

MODULES = HOST_MODULES | {"nodes"}  # in these files, `nodes` without a dot is ComfyUI's
LOOKED_AT = ("cointeract_core/host/", "cointeract_core/verify/", "nodes/")
OPEN = ("__init__",)  # every class may call its parent's


def dotted(node: ast.AST) -> list[str] | None:
    """`a.b.c` as names, or None for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def imported(tree: ast.AST) -> dict[str, str]:
    """Names of a file that stand for something of ComfyUI, and what."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                if top in MODULES:
                    names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in MODULES:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):  # also under another name: `management = comfy.model_management`
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            chain = dotted(node.value)
            if chain and chain[0] in names:
                names[node.targets[0].id] = ".".join([names[chain[0]], *chain[1:]])
    return names


def touched(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of every symbol of ComfyUI a file names, also as a text in `getattr` and `hasattr`."""
    names = imported(tree)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in MODULES:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        asked = (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"getattr", "hasattr"}
        )
        if asked and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            chain = dotted(node.args[0])
            if chain and chain[0] in names:
                yield node.lineno, ".".join([names[chain[0]], *chain[1:], node.args[1].value])
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain = dotted(node)
            if chain and chain[0] in names:
                yield node.lineno, ".".join([names[chain[0]], *chain[1:]])


def inherited(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every method of a parent class that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and called.id == "super":
                yield node.lineno, node.attr


def entry_of(symbol: str) -> str | None:
    """The listed symbol that a full name is, or is a part of."""
    parts = symbol.split(".")
    whole = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in whole if name in TOUCHED), None)


def is_module(symbol: str, host: Path) -> bool:
    """Whether a full name is a module of ComfyUI rather than something in it."""
    path = host.joinpath(*symbol.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.fixture
def reached(pack, host):
    """(file and line, symbol) of every touch."""
    return [
        (f"{source.name}:{line}", symbol)
        for source in pack
        if source.name.startswith(LOOKED_AT)
        for line, symbol in touched(source.tree)
        if not is_module(symbol, host)
    ]


def test_every_symbol_is_listed(reached):
    assert [f"{where} {symbol}" for where, symbol in reached if entry_of(symbol) is None] == []


def test_every_method_of_a_parent_is_listed(pack):
    listed = {name.rpartition(".")[2] for name in TOUCHED}
    wrong = [
        f"{source.name}:{line} super().{name}"
        for source in pack
        if source.name.startswith("cointeract_core/host/")
        for line, name in inherited(source.tree)
        if name not in listed and name not in OPEN
    ]
    assert wrong == []


def test_nothing_is_listed_that_is_not_touched(reached, pack):
    used = {entry_of(symbol) for _, symbol in reached}
    called = {name for source in pack for _, name in inherited(source.tree)}
    stale = {name for name in TOUCHED if name not in used and name.rpartition(".")[2] not in called}
    assert stale == set()


def test_a_new_touch_would_be_seen():
    text = (
        "import comfy.sd\nfrom comfy.ops import x as y\ny.z(comfy.sd.a.b)\ngetattr(comfy.sd, 'c')\nm = comfy.sd\nm.d()"
    )
    found = {symbol for _, symbol in touched(ast.parse(text))}
    assert found >= {"comfy.ops.x", "comfy.ops.x.z", "comfy.sd.a.b", "comfy.sd.c", "comfy.sd.d"}


def test_the_page_tells_of_every_form(repo):
    page = (repo / "docs" / "comfyui.md").read_text(encoding="utf-8")
    changed = {name: note for name, note in TOUCHED.items() if note != SAME}
    assert [name for name, note in changed.items() if f"| `{name}` | {note} |" not in page] == []
    assert len(changed) > 20


def test_every_symbol_is_there(host):
    import importlib

    missing = []
    for name, note in TOUCHED.items():
        parts = name.split(".")
        count = max(count for count in range(1, len(parts)) if is_module(".".join(parts[:count]), host))
        found = importlib.import_module(".".join(parts[:count]))
        for part in parts[count:]:
            found = getattr(found, part, None)
        if found is None and not note.startswith(LATER):
            missing.append(name)
    assert missing == []
