"""CSV text as rows of cells.

Python's reader refuses cells beyond a limit that can only be changed for the whole process, and boxes of a long clip
pass it; so the cells are told apart here, by the same rules (RFC 4180).
"""

from __future__ import annotations

import re

QUOTE = '"'
PLAIN = re.compile(r"[^,\r\n]*")  # a cell without quotes in front
BREAK = re.compile(r"\r\n|\r|\n")


class CsvError(ValueError):
    """The text is no CSV: what is wrong, and in which line."""


def split_csv(text: str) -> list[list[str]]:
    """Rows of cells; an empty line is a row without cells.

    Raises:
        CsvError: a quoted cell that does not end, or goes on behind its end.
    """
    rows: list[list[str]] = []
    place = 0
    while place < len(text):
        row: list[str] = []
        found = BREAK.match(text, place)
        while found is None:
            cell, place = _cell(text, place)
            row.append(cell)
            found = BREAK.match(text, place)
            if found is None and place == len(text):
                break
            if found is None:
                place += 1  # the comma
        place = len(text) if found is None else found.end()
        rows.append(row)
    return rows


def _cell(text: str, place: int) -> tuple[str, int]:
    """The cell that begins at `place`, and where it ends: at a comma, a line break or the text's end."""
    if not text.startswith(QUOTE, place):
        found = PLAIN.match(text, place)
        return (found[0], found.end()) if found else ("", place)
    parts, begin = [], place + 1
    while True:
        end = text.find(QUOTE, begin)
        if end < 0:
            raise CsvError(f"the quote in line {_line(text, place)} is not closed")
        parts.append(text[begin:end])
        if not text.startswith(QUOTE, end + 1):
            break
        begin = end + 2
    if end + 1 < len(text) and text[end + 1] not in ",\r\n":
        raise CsvError(f"“{text[end + 1]}” follows a closing quote in line {_line(text, end)}")
    return QUOTE.join(parts), end + 1


def _line(text: str, place: int) -> int:
    return len(BREAK.findall(text, 0, place)) + 1
