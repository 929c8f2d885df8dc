"""Errors a user can act on: one sentence saying what arrived, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable

KEYS_SHOWN = 5  # an error lists at most this many tensor names, then the count


class CoInteractError(ValueError):
    """Base of every error this pack raises on purpose."""


class InputError(CoInteractError):
    """A value a user wired or typed in cannot be used."""


class ModelFileError(CoInteractError):
    """A model file is missing, damaged, or of another model."""


class CheckpointKeysError(ModelFileError):
    """A checkpoint holds names or shapes the model does not have, or lacks some it needs."""


def name_some(keys: Iterable[str]) -> str:
    """List at most `KEYS_SHOWN` names and say how many there are in all: ``a, b and 7 more``."""
    ordered = sorted(keys)
    shown = ", ".join(ordered[:KEYS_SHOWN])
    rest = len(ordered) - KEYS_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
