"""Errors a user can act on: one sentence saying what arrived, what was expected and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_SHOWN = 120  # characters of a wrong value that an error shows
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # also halves of a character, which no text file can hold
KEYS_SHOWN = 5  # an error lists at most this many tensor names, then the count


class CoInteractError(ValueError):
    """Base of every error this pack raises on purpose."""


class InputError(CoInteractError):
    """A value a user wired or typed in cannot be used."""


class ResultError(CoInteractError):
    """What a model computed cannot be used."""


class ModelFileError(CoInteractError):
    """A model file is missing, damaged, or of another model."""


class CheckpointKeysError(ModelFileError):
    """A checkpoint holds names or shapes the model does not have, or lacks some it needs."""


def name_some(keys: Iterable[str]) -> str:
    """List at most `KEYS_SHOWN` names and say how many there are in all: ``a, b and 7 more``."""
    ordered = sorted(keys)
    listed = ", ".join(shown(key) for key in ordered[:KEYS_SHOWN])
    rest = len(ordered) - KEYS_SHOWN
    return f"{listed} and {rest} more" if rest > 0 else listed


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A wrong value as an error shows it: never long, and never an error itself."""
    try:
        said = value if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # Python refuses to write very long numbers and very deep lists
        return f"a {type(value).__name__} too long to show"
    said = CONTROL.sub("�", said)
    return said if len(said) <= longest else f"{said[:longest]}…"
