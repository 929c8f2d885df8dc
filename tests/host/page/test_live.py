"""A run as the page sees it: messages on the host's own server object, and the route through real HTTP."""

from __future__ import annotations

import asyncio
import gc
import json

import folder_paths
import pytest
import server as host_server
from aiohttp.test_utils import TestClient, TestServer

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.host.page import live
from cointeract_pack.cointeract_core.training.run.curves import COLUMNS, METRICS, CurveLog, CurveRow

NAME = "my_product"
BAD_NAMES = ("", "..", ".hidden", "../other", "a/b", "a\\b", "/etc", "a b", "ä", "a" * 81, "C:x", "a\n", "a\0")


@pytest.fixture
def output(tmp_path, monkeypatch):
    """An output folder of its own."""
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "my output"))
    return tmp_path / "my output"


@pytest.fixture
def server(monkeypatch):
    """The host's server object with an event loop, not listening."""
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(host_server.PromptServer, "instance", None, raising=False)
    made = host_server.PromptServer(loop)
    made.client_id = "page-1"
    yield made
    loop.close()


def messages(server) -> list[tuple[str, dict, str]]:
    """What was sent since the last call; each must be JSON as browsers read it."""
    server.loop.run_until_complete(asyncio.sleep(0))
    found = [server.messages.get_nowait() for _ in range(server.messages.qsize())]
    for _, message, _ in found:
        json.dumps(message, allow_nan=False)
    return found


def ask(server, *queries: str) -> list[dict]:
    """GET the route through real connections."""
    live.register_routes()
    live.register_routes()  # a reload
    server.app.router.add_routes(server.routes)

    async def get() -> list[dict]:
        answers = []
        async with TestClient(TestServer(server.app)) as client:
            for query in queries:
                answer = await client.get(live.ROUTE + query, headers={"Host": "localhost"})
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "no-store"
                answers.append(json.loads(await answer.text(), parse_constant=pytest.fail))
        return answers

    return server.loop.run_until_complete(get())


def test_values_reach_the_page_that_queued_the_run(server, monkeypatch):
    monkeypatch.setattr(live, "PAUSE", 0.0)
    run = live.LiveRun(NAME, 3, "12:5")
    run.say("encoding row 1 of 1")
    run.add(1, {"loss": 0.5, "router": float("nan")}, "step 1/3")
    run.add(2, {"loss": 0.25, "router": 0.125}, "step 2/3")
    run.close("done")
    sent = messages(server)
    assert {(event, client) for event, _, client in sent} == {(live.EVENT, "page-1")}
    said, first, second, last = (message for _, message, _ in sent)
    common = {"run": NAME, "node": "12:5", "total": 3}
    assert said == {
        **common,
        "state": "running",
        "text": "encoding row 1 of 1",
        "after": None,
        "steps": [],
        "values": {},
    }
    assert first == {
        **common,
        "state": "running",
        "text": "step 1/3",
        "after": 0,
        "steps": [1],
        "values": {"loss": [0.5]},
    }
    assert (second["after"], second["steps"]) == (1, [2])
    assert second["values"] == {"loss": [0.25], "router": [0.125]}
    assert (last["state"], last["after"], last["steps"], last["text"]) == ("done", 2, [], "")


def test_a_resumed_run_says_after_which_step_it_goes_on(server):
    run = live.LiveRun(NAME, 100, None)
    run.add(41, {"loss": 0.5})
    assert messages(server)[0][1]["after"] == 40


def test_messages_are_few_and_lose_nothing(server, monkeypatch):
    """A thousand steps in no time are two messages: the first, and the rest when the run ends."""
    monkeypatch.setattr(live, "PAUSE", 3600.0)
    run = live.LiveRun(NAME, 1000, "5")
    for step in range(1, 1001):
        run.add(step, {"loss": float(step)})
    run.close("stopped")
    sent = [message for _, message, _ in messages(server)]
    assert [(message["after"], len(message["steps"])) for message in sent] == [(0, 1), (1, 999)]
    assert [step for message in sent for step in message["steps"]] == list(range(1, 1001))
    assert sent[1]["state"] == "stopped"


def test_without_a_server_nothing_happens(monkeypatch):
    monkeypatch.setattr(host_server.PromptServer, "instance", None, raising=False)
    live.register_routes()
    run = live.LiveRun(NAME, 2, None)
    run.add(1, {"loss": 0.5})
    run.close("failed")


def test_snapshot_of_a_run_that_goes_on_and_of_what_is_on_disk(output):
    assert live.snapshot(NAME)["state"] == "none"
    curves = CurveLog(output / "CoInteract" / "train" / NAME)
    run = live.LiveRun(NAME, 9, "5")
    for step in (1, 2):
        values = {"loss": 1 / 3 / step, "rgb": float("inf"), "validation": 0.1 if step == 2 else None}
        curves.add(step, values)
        run.add(step, values, f"step {step}/9")
    table = {"steps": [1, 2], "values": {"loss": [1 / 3, 1 / 6], "validation": [None, 0.1]}, "after": 0}
    running = live.snapshot(NAME)
    assert running == {"run": NAME, "node": "5", "total": 9, "state": "running", "text": "step 2/9", **table}
    run.close("done")
    curves.close()
    saved = {"run": NAME, "node": None, "total": 2, "state": "saved", "text": "", **table}
    assert live.snapshot(NAME) == saved


def test_a_run_that_vanished_is_not_running(output):
    """A run whose node broke without closing it leaves nothing behind."""
    run = live.LiveRun(NAME, 9, "5")
    assert live.snapshot(NAME)["state"] == "running"
    del run
    gc.collect()
    assert live.snapshot(NAME)["state"] == "none"


def test_route_answers_from_disk(server, output):
    curves = CurveLog(output / "CoInteract" / "train" / NAME)
    curves.add(1, {"loss": 0.1, "router": float("nan")})
    curves.close()
    answer, other = ask(server, f"?run={NAME}", "?run=other")
    assert (other["state"], other["steps"]) == ("none", [])
    assert answer["steps"] == [1]
    assert answer["values"] == {"loss": [0.1]}


def test_route_says_what_is_wrong_without_an_error_status(server, output):
    from urllib.parse import quote

    folder = output / "CoInteract" / "train" / NAME
    folder.mkdir(parents=True)
    (folder / METRICS).write_text("a,b\n1,2\n", encoding="utf-8")
    broken, outside, unnamed = ask(server, f"?run={NAME}", f"?run={quote('../' + NAME)}", "")
    assert "column step was expected" in broken["error"]
    assert "letters, digits" in outside["error"]
    assert "letters, digits" in unnamed["error"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names_that_lead_elsewhere_are_refused(name, output):
    with pytest.raises(InputError, match="letters, digits, _"):
        live.run_folder(name)


def test_run_folder_is_below_the_output_folder(output):
    assert live.run_folder(NAME) == output / "CoInteract" / "train" / NAME


def test_long_runs_are_sent_thinner():
    rows = [CurveRow(step, dict.fromkeys(COLUMNS) | {"loss": float(step)}) for step in range(1, 10_002)]
    rows[700].values["validation"] = 0.25
    kept = live.fewer(rows, 1000)
    assert len(kept) <= 1000
    assert kept[-1].step == 10_001
    assert [row.values["validation"] for row in kept if row.values["validation"] is not None] == [0.25]
    assert all(row.values["loss"] == row.step for row in kept)
    assert live.fewer(rows[:5], 1000) == rows[:5]
    assert live.fewer([], 1000) == []
