"""Cells of CSV: told apart as Python's own reader does, without its limit, which is the whole process's."""

from __future__ import annotations

import csv
import io
import random

import pytest

from cointeract_pack.cointeract_core.csv_text import CsvError, split_csv
from cointeract_pack.cointeract_core.training.table.rows import read_table

SIGNS = 'ab,,"" \r\n;'


def pythons(text):
    """What Python's strict reader makes of it; None where it refuses it."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None


def ours(text):
    try:
        return split_csv(text)
    except CsvError:
        return None


def test_it_reads_and_refuses_what_pythons_own_reader_does():
    generator = random.Random(1)
    texts = ["".join(generator.choices(SIGNS, k=generator.randint(0, 14))) for _ in range(20_000)]
    assert [text for text in texts if ours(text) != pythons(text)] == []
    assert sum(pythons(text) is None for text in texts) > 1000


@pytest.mark.parametrize("begin", ["x", '"x'])
def test_a_cell_may_be_long_and_the_limit_of_the_process_is_left_alone(begin, tmp_path, monkeypatch):
    """The boxes of a long clip pass the limit; changing it, even for a moment, changes it in other threads too."""
    monkeypatch.setattr(csv, "field_size_limit", lambda *_limit: pytest.fail("the process's limit was touched"))
    cell = begin + "y" * (1 << 20) + ('"' if begin.startswith('"') else "")
    path = tmp_path / "data.csv"
    path.write_text(f"prompt,input_video,audio,person_image,face\na,b,c,d,{cell}\n", encoding="utf-8")
    assert read_table(path).rows[0][1]["face"] == cell.strip('"')


def test_what_is_wrong_is_named_with_its_line():
    with pytest.raises(CsvError, match="the quote in line 3 is not closed"):
        split_csv('a\n"b\n",c,"d\n')
    with pytest.raises(CsvError, match="“x” follows a closing quote in line 2"):
        split_csv('a\r\n"b"x,c')
