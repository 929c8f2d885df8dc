"""Rules for the values of settings; each raises one sentence that names the setting."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...errors import CONTROL, InputError, shown

LONGEST_NUMBER = 12  # digits of a row's number
MOST = 1 << 53  # whole numbers beyond it are not exact on the page
LARGEST = 1e30  # TOML has whole numbers of any length, float32 has not


def refuse(name: str, value: object, expected: str, advice: str) -> InputError:
    """``name is value, but expected; advice.``"""
    text_of = shown(value)
    return InputError(f"{name} is {f'“{text_of}”' if isinstance(value, str) else text_of}, but {expected}; {advice}.")


def whole(name: str, value: object, low: int, advice: str, high: int | None = None) -> None:
    """A whole number from `low` on.

    Raises:
        InputError: it is not.
    """
    most = MOST if high is None else high
    far = isinstance(value, int) and value > most
    limit = f"from {low} to {most}" if far or high is not None else f"from {low} on"
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= most:
        raise refuse(name, value, f"a whole number {limit} is expected", advice)


def number(name: str, value: object, low: float, advice: str, high: float = math.inf, *, above: bool = False) -> None:
    """A number from `low` (`above`: beyond it) to `high`.

    Raises:
        InputError: it is not.
    """
    given = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    good = -math.inf < given < math.inf
    if not good or given < low or (above and given == low) or given > min(high, LARGEST):
        limit = f"above {low:g}" if above else f"from {low:g}"
        if high < math.inf or (good and given > LARGEST):
            limit += f"{' and up' if above else ''} to {min(high, LARGEST):g}"
        elif not above:
            limit += " on"
        raise refuse(name, value, f"a number {limit} is expected", advice)


def switch(name: str, value: object) -> None:
    """True or false.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(value, bool):
        raise refuse(name, value, "true or false is expected", "write it without quotes")


def choice(name: str, value: object, known: Sequence[str]) -> None:
    """One of a few words.

    Raises:
        InputError: it is another.
    """
    if value not in known:
        raise refuse(name, value, f"{', '.join(known)} are known", "choose one of them")


def row_numbers(name: str, value: str) -> tuple[int, ...]:
    """Numbers out of a text such as ``3, 8``.

    Raises:
        InputError: something else between the commas.
    """
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise refuse(name, value, "row numbers such as 3, 8 are expected", "separate them by commas")
    if any(len(part) > LONGEST_NUMBER for part in parts):
        raise refuse(name, value, "row numbers such as 3, 8 are expected", "tables are not so long")
    return tuple(int(part) for part in parts)


def number_in(name: str, value: str) -> float:
    """A number out of a text such as ``1e-4``.

    Raises:
        InputError: it is none.
    """
    try:
        return float(value)
    except ValueError:
        raise refuse(name, value, "a number is expected", "write it like 1e-4 or 0.0001") from None


def text(name: str, value: object, advice: str) -> None:
    """Some text.

    Raises:
        InputError: it is empty, no text, or holds control characters.
    """
    if not isinstance(value, str) or not value.strip():
        raise refuse(name, value, "a name is expected", advice)
    if CONTROL.search(value):
        raise refuse(name, ascii(value), "a name without control characters is expected", advice)
