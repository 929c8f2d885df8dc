"""Which file a sampler made, so that ComfyUI makes it again where it was moved or deleted since.

ComfyUI asks for a node's fingerprint before it runs and keeps the result for as long as the answer stays the same.  At
that moment only the values typed into the node are known, so they are the key.  The record lies in the temp folder,
which ComfyUI empties when it starts, as it forgets its results then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import folder_paths

from ...files import replaced
from ..objects import Graph

VALUES = (
    "seed", "steps", "cfg", "shift", "sampler_name", "scheduler", "speech_to_face", "filename_prefix", "negative_until",
)  # fmt: skip


def remember(prompt: Graph | None, node_id: str | None, path: Path) -> None:
    """Record the file that a node has made.

    Args:
        prompt: the workflow in the host's API form; without it, as in a test, nothing is recorded.
    """
    node = (prompt or {}).get(str(node_id)) or {}
    typed = {name: value for name, value in (node.get("inputs") or {}).items() if not isinstance(value, list)}
    if typed:
        record = _record(typed)
        _write(record, str(path), _read(record)[1])


def times_lost(typed: Mapping[str, object]) -> int:
    """How often the file that these values made was gone: it changes once each time, and then stays.

    Args:
        typed: values of the node that are not wired.
    """
    record = _record(typed)
    path, lost = _read(record)
    if path and not Path(path).is_file():
        lost += 1
        _write(record, "", lost)
    return lost


def _record(typed: Mapping[str, object]) -> Path:
    values = json.dumps({name: typed[name] for name in VALUES if typed.get(name) is not None}, sort_keys=True)
    name = hashlib.sha256(values.encode()).hexdigest()[:16]
    return Path(folder_paths.get_temp_directory()) / f"cointeract_made_{name}.json"


def _read(record: Path) -> tuple[str, int]:
    """The file's path, empty where none is known, and how often one was gone."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        return str(kept["path"]), int(kept["lost"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", 0  # nothing was made yet, or the temp folder was emptied


def _write(record: Path, path: str, lost: int) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    with replaced(record, elsewhere=False) as done:
        done.beside.write_text(json.dumps({"path": path, "lost": lost}), encoding="utf-8")
