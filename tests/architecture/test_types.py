"""The pack's types, checked as `scripts/check.py` checks them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import check
import pytest

PYTHON = Path(sys.executable)


@pytest.fixture(autouse=True)
def _mypy():
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed beside this Python.")


@pytest.fixture
def mistyped(repo, tmp_path, monkeypatch):
    """A checkout with a function that does not give what it says, in place of this one."""
    core = tmp_path / "checkout" / "cointeract_core"
    core.mkdir(parents=True)
    shutil.copy(repo / "pyproject.toml", core.parent)
    (core.parent / "__init__.py").touch()
    (core / "__init__.py").write_text("def count() -> int:\n    return 'one'\n", encoding="utf-8")
    monkeypatch.setattr(check, "ROOT", core.parent)
    monkeypatch.setattr(check, "WORK", tmp_path)  # its own cache: the names in it are the same
    monkeypatch.setattr(check, "TYPED", (f"{check.PACK}.cointeract_core",))


def test_mypy_has_nothing_to_say(capfd):
    assert check.check_types(PYTHON), capfd.readouterr().out


@pytest.mark.usefixtures("mistyped")
def test_mypy_would_say_something(capfd):
    assert not check.check_types(PYTHON)
    assert 'got "str", expected "int"' in capfd.readouterr().out
