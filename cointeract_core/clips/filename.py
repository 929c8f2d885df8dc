"""The name a user gives a video: patterns in it filled as ComfyUI's save nodes do, and what no file can be called.

Its rules hold on every system, so that a folder of videos can be moved from one to another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ..errors import InputError, shown

PATTERN = re.compile(r"%([^%]+)%")
DATE = "date:"
DATE_PARTS = re.compile(r"d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}|yyyy|yy")
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')  # Windows' rules, and what no system can write
NOT_IN_VALUES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')  # becomes _ in a value of the workflow
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])[ ]*(\..*)?", re.IGNORECASE)
LONGEST_NAME, LONGEST_FOLDER = 150, 200  # bytes; systems take 255, and numbers and endings follow the name
MOST_FOLDERS, LONGEST = 30, 1000
FORMS = "%date:yyyy-MM-dd%, %year%, %month%, %day%, %hour%, %minute%, %second%, %width%, %height% or %Node.widget%"


def fill_prefix(prefix: str, *, width: int, height: int, now: datetime, value_of: Callable[[str, str], object]) -> str:
    """A `filename_prefix` with its patterns replaced, checked, its folders apart by ``/``.

    Args:
        now: the time that ``%date:...%`` and the like stand for.
        value_of: a node's value by the node's and the value's name; None where the workflow has none.

    Raises:
        InputError: a pattern that stands for nothing, or a name that a file cannot have.
    """
    sizes = {"width": str(width), "height": str(height)}
    times = {"year": "yyyy", "month": "MM", "day": "dd", "hour": "hh", "minute": "mm", "second": "ss"}

    def filled(found: re.Match[str]) -> str:
        word = found[1]
        if word in sizes:
            return sizes[word]
        if word in times:
            return format_date(times[word], now)
        if word.startswith(DATE):
            return format_date(word[len(DATE) :], now)
        node, dot, name = word.rpartition(".")
        value = value_of(node, name) if dot else None
        if value is None:
            what = f"the workflow has no node {shown(node)} with a value {shown(name)}" if dot else "that is no pattern"
            raise _refusal(prefix, f"holds %{shown(word)}%, but {what}; use {FORMS}")
        return NOT_IN_VALUES.sub("_", _as_page(value))

    return _checked(prefix, PATTERN.sub(filled, prefix))


def format_date(form: str, moment: datetime) -> str:
    """A date in the form ComfyUI's page knows: yy yyyy M MM d dd h hh m mm s ss, hours from 0 to 23."""
    values = {"d": moment.day, "M": moment.month, "h": moment.hour, "m": moment.minute, "s": moment.second}

    def part(found: re.Match[str]) -> str:
        letters = found[0]
        if letters[0] == "y":
            return f"{moment.year:04}"[-len(letters) :]
        return f"{values[letters[0]]:0{len(letters)}}"

    return DATE_PARTS.sub(part, form)


def _as_page(value: object) -> str:
    """A value as the page writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return shown(value, LONGEST)


def _checked(prefix: str, path: str) -> str:
    parts = [part for part in path.strip().replace("\\", "/").split("/") if part != "."]
    if parts and not parts[-1]:
        del parts[-1]  # one at the end does no harm
    if not parts or not all(parts) or ".." in parts or re.fullmatch(r"[A-Za-z]:", parts[0]):
        raise InputError(
            f"filename_prefix is “{shown(prefix)}”, which does not name a file inside ComfyUI's output folder; use a "
            "name such as CoInteract/ad."
        )
    for place, part in enumerate(parts):
        problem = _problem(part, last=place == len(parts) - 1)
        if problem:
            raise _refusal(prefix, f"{problem}; use a name such as CoInteract/ad")
    if len(parts) > MOST_FOLDERS or len(path.encode()) > LONGEST:
        raise _refusal(
            prefix,
            f"has {len(parts)} parts and {len(path.encode())} bytes, but at most {MOST_FOLDERS} and {LONGEST} are "
            "expected; use a shorter one",
        )
    return "/".join(parts)


def _problem(part: str, *, last: bool) -> str | None:
    """What is wrong with a folder's or the file's name."""
    found = FORBIDDEN.search(part)
    if found:
        return f"holds {found[0]!a}, but file names cannot hold it on every system"
    if RESERVED.fullmatch(part):
        return f"holds the name {part}, but Windows keeps it for devices"
    if part.endswith((".", " ")) and not last:
        return f"holds the folder “{shown(part)}”, but on Windows names cannot end with a dot or a blank"
    size, most = len(part.encode()), LONGEST_NAME if last else LONGEST_FOLDER
    if size > most:
        return f"holds a name of {size} bytes, but at most {most} are expected"
    return None


def _refusal(prefix: str, rest: str) -> InputError:
    return InputError(f"filename_prefix is “{shown(prefix)}” and {rest}.")
