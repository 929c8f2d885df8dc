"""Every line of docs/media.md has its test."""

from __future__ import annotations

import re

NAMED = re.compile(r"`(test_\w+)`")


def test_every_line_names_a_test_that_is_there(repo):
    lines = (repo / "docs" / "media.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.endswith("| test |")]
    known = {
        name
        for file in (repo / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
    }
    assert len(rows) > 30
    assert [row for row in rows if not NAMED.findall(row) or set(NAMED.findall(row)) - known] == []
