"""Files and functions stay small."""

from __future__ import annotations

import ast

FILE_LINES = 300
FUNCTION_LINES = 70
WIDTH = 120
# declarations, one line per input: splitting them would hide what a node has
DECLARATIONS = {"define_schema"}


def test_files(sources):
    lines = {source.name: source.text.count("\n") for source in sources}
    assert [f"{name}: {lines[name]}" for name in lines if lines[name] > FILE_LINES] == []


def test_functions(sources):
    long = []
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in DECLARATIONS:
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long.append(f"{source.name}:{node.lineno} {node.name}: {lines}")
    assert long == []


def test_lines(sources):
    wide = [
        f"{source.name}:{number}"
        for source in sources
        for number, line in enumerate(source.text.splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert wide == []


def test_public_code_is_documented(pack):
    bare = []
    for source in pack:
        if not ast.get_docstring(source.tree):
            bare.append(source.name)
        for node in source.tree.body:
            public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if public and not node.name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{source.name}:{node.lineno} {node.name}")
    assert bare == []


def test_public_code_is_typed(pack):
    untyped = []
    for source in pack:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                missing = [a.arg for a in arguments if a.annotation is None and a.arg not in {"self", "cls"}]
                if missing or node.returns is None:
                    untyped.append(f"{source.name}:{node.lineno} {node.name} {missing}")
    assert untyped == []
