"""Settings as TOML: what the shell command reads, and what a run leaves beside its curves."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

from ...errors import LONGEST_SHOWN, InputError, shown
from .optimizer import OptimizerSettings
from .sections import (
    DataSettings,
    HoiSettings,
    LoraSettings,
    LossSettings,
    MemorySettings,
    ModelSettings,
    RunSettings,
    SamplingSettings,
    TrainSettings,
)


class Section(Protocol):
    """One of the dataclasses below."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


SECTIONS: dict[str, type[Section]] = {
    "model": ModelSettings,
    "data": DataSettings,
    "run": RunSettings,
    "lora": LoraSettings,
    "hoi": HoiSettings,
    "sampling": SamplingSettings,
    "loss": LossSettings,
    "optimizer": OptimizerSettings,
    "memory": MemorySettings,
}


def load_settings(path: Path) -> TrainSettings:
    """Read a TOML file.

    Raises:
        InputError: it cannot be read, is no TOML, or holds what is no setting.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors of Windows write a mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path.name} cannot be read ({error}), but a TOML file is expected; check its path."
        ) from error
    toml = _toml_reader()
    try:
        values = toml.loads(text)
    except RecursionError as error:
        raise InputError(f"{path.name} nests lists too deep, but plain values are expected; correct it.") from error
    except ValueError as error:  # TOML's own error is one; so is that of a number too long to read
        raise InputError(f"{path.name} is not valid TOML ({shown(error)}); correct that line.") from error
    return settings_from(values)


def settings_from(values: Mapping[str, object]) -> TrainSettings:
    """Settings from sections of plain values, as TOML and JSON hold them.

    Raises:
        InputError: an unknown section or setting, a missing one, or a bad value.
    """
    for section in values:
        if section not in SECTIONS:
            raise InputError(_unknown("section", section, SECTIONS))
    return TrainSettings(**{name: _section(name, values.get(name, {})) for name in SECTIONS})


def with_sections(
    some: Mapping[str, Mapping[str, object]], more: Mapping[str, Mapping[str, object]], data: DataSettings
) -> TrainSettings:
    """Settings from sections of two sources, the second winning, and finished data settings.

    Raises:
        InputError: see `settings_from`.
    """
    joined = {name: {**some.get(name, {}), **more.get(name, {})} for name in (*SECTIONS, *some, *more)}
    return settings_from({**joined, "data": _plain(data)})


def plain_values(settings: TrainSettings) -> dict[str, dict[str, object]]:
    """Sections of plain values; `settings_from` reads them back."""
    return {name: _plain(getattr(settings, name)) for name in SECTIONS}


def dump_toml(settings: TrainSettings) -> str:
    """Settings as TOML text; `load_settings` reads it back to the same values."""
    parts = []
    for name, section in plain_values(settings).items():
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in section.items()]
        parts.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _plain(section: Section) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(section).items()}


def _section(name: str, values: object) -> Any:
    kind = SECTIONS[name]
    if not isinstance(values, Mapping):
        raise InputError(f"{name} is {shown(values)}, but a section is expected; write [{name}] on a line of its own.")
    known = {field.name: field for field in fields(kind)}
    for key in values:
        if key not in known:
            raise InputError(_unknown(f"setting in [{name}]", key, known))
    for key, field in known.items():
        if field.default is MISSING and key not in values:
            raise InputError(f"{name}.{key} is missing, but a run cannot do without it; add it to [{name}].")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:LONGEST_SHOWN], known, n=1)  # takes long for a long word
    advice = f"did you mean {near[0]}?" if near else "take it out."
    return f"“{shown(name)}” is no {what}, but one of {', '.join(known)} was expected; {advice}"


def _toml_reader() -> ModuleType:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli
    except ImportError as error:
        raise InputError(
            "Python 3.10 reads TOML with the package tomli, which is not installed; pip install tomli."
        ) from error
    reader: ModuleType = tomli
    return reader
