"""A training run as the page sees it: new values while it runs, and everything so far to a page that asks.

Values are sent to the page that queued the run.  A page that was opened later, reloaded or cut off asks for a snapshot;
it is read from the run's `metrics.csv`, so it is there after the run and after a restart of the server too.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import folder_paths

from ...errors import InputError
from ...training.run.curves import COLUMNS, METRICS, CurveRow, read_rows
from ...training.settings.sections import RUN_NAME
from ..objects import Server

if TYPE_CHECKING:
    from aiohttp import web

EVENT, ROUTE = "cointeract.training", "/cointeract/training"
RUNS = "CoInteract/train"  # below the host's output folder
PAUSE = 0.2  # seconds between two messages: more often than 5 times a second nobody sees
SNAPSHOT_POINTS = 4000  # a chart is at most this many pixels wide
RUNNING, SAVED, ABSENT = "running", "saved", "none"

Message: TypeAlias = dict[str, object]  # what is sent to the page, as JSON

_live: weakref.WeakValueDictionary[str, LiveRun] = weakref.WeakValueDictionary()  # an entry goes with its run


class LiveRun:
    """Tells the page about a run; without a server it does nothing.

    Args:
        name: of the run, which is its folder's too.
        total_steps: steps the run will have in all.
        node_id: the node it runs in, None from the shell.
    """

    def __init__(self, name: str, total_steps: int, node_id: str | None) -> None:
        self.name, self.total_steps, self.node_id = name, total_steps, node_id
        self._lock = threading.Lock()
        self._state, self._text = RUNNING, ""
        self._unsent: list[CurveRow] = []
        self._after: int | None = None  # the last step the page was told, None before the first
        self._sent_at = -math.inf
        _live[name] = self

    def add(self, step: int, values: Mapping[str, float | None], text: str = "") -> None:
        """Tell a step's values.

        Args:
            step: how many steps are done, counted from 1.
            values: by the names in `curves.COLUMNS`.
            text: shown below the curves.
        """
        with self._lock:
            if self._after is None:
                self._after = step - 1
            self._unsent.append(CurveRow(step, {name: values.get(name) for name in COLUMNS}))
            self._text = text
        self._send()

    def say(self, text: str) -> None:
        """Show another line, such as “encoding row 3 of 5”."""
        with self._lock:
            self._text = text
        self._send()

    def close(self, state: str) -> None:
        """Tell how the run ended: `done`, `stopped` or `failed`."""
        with self._lock:
            self._state, self._text = state, ""
        self._send(at_once=True)
        if _live.get(self.name) is self:
            del _live[self.name]

    def facts(self) -> Message:
        """What a snapshot holds beside the values."""
        with self._lock:
            return self._facts()

    def _facts(self) -> Message:
        node = None if self.node_id is None else str(self.node_id)
        return {"run": self.name, "node": node, "total": self.total_steps, "state": self._state, "text": self._text}

    def _send(self, *, at_once: bool = False) -> None:
        """Send what is new, unless the last message was a moment ago: then the next one takes it along."""
        server = _server()
        with self._lock:
            now = time.monotonic()
            if not at_once and now - self._sent_at < PAUSE:
                return
            rows, self._unsent, self._sent_at = self._unsent, [], now
            message = {**self._facts(), "after": self._after, **_table(rows)}
            if rows:
                self._after = rows[-1].step
        if server is not None:
            server.send_sync(EVENT, message, server.client_id)


def run_folder(name: str) -> Path:
    """Folder of a run below the host's output folder.

    Raises:
        InputError: the name could lead elsewhere.
    """
    if not RUN_NAME.fullmatch(name):
        raise InputError(
            f"The run is called {name[:80]!r}, but letters, digits, _ . and - are expected, the first not . or -; "
            "use a name such as my_product."
        )
    return Path(folder_paths.get_output_directory()) / RUNS / name


def snapshot(name: str) -> Message:
    """Everything known of a run, as it is sent to the page.

    Raises:
        InputError: the name is not one of a run, or its file of curves is not ours.
        OSError: its file cannot be read.
    """
    path = run_folder(name) / METRICS
    live = _live.get(name)
    rows = read_rows(path) if path.is_file() else []
    last = rows[-1].step if rows else 0
    gone: Message = {"run": name, "node": None, "total": last, "state": SAVED if rows else ABSENT, "text": ""}
    return {**(gone if live is None else live.facts()), "after": 0, **_table(fewer(rows))}


def fewer(rows: Sequence[CurveRow], most: int = SNAPSHOT_POINTS) -> list[CurveRow]:
    """At most `most` rows: of each group of neighbours its last step, with the last known value of every curve."""
    size = -(-len(rows) // most) if rows else 1
    if size == 1:
        return list(rows)
    kept = []
    for begin in range(0, len(rows), size):
        values: dict[str, float | None] = dict.fromkeys(COLUMNS)
        group = rows[begin : begin + size]
        for row in group:
            values |= {name: value for name, value in row.values.items() if value is not None}
        kept.append(CurveRow(group[-1].step, values))
    return kept


def register_routes() -> None:
    """Let pages ask for snapshots; calling it again changes nothing, and without a server neither."""
    server = _server()
    if server is None or any(getattr(route, "path", None) == ROUTE for route in server.routes):
        return
    server.routes.get(ROUTE)(_answer)


async def _answer(request: web.Request) -> web.Response:
    """Always 200: any other status is a red line in the page's console."""
    from aiohttp import web  # the host's own server; nothing is fetched

    try:
        answer = await asyncio.to_thread(snapshot, request.query.get("run", ""))
    except (InputError, OSError) as error:
        answer = {"error": str(error) if isinstance(error, InputError) else f"{METRICS} of the run cannot be read."}
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


def _table(rows: Sequence[CurveRow]) -> Message:
    """Steps, and the values of each curve that has any; NaN and infinity are not JSON."""
    columns = {name: [_finite(row.values[name]) for row in rows] for name in COLUMNS}
    known = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    return {"steps": [row.step for row in rows], "values": known}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _server() -> Server | None:
    """The running server, or None; never imports one."""
    server: Server | None = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    return server
