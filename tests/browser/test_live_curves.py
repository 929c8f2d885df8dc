"""The curves of a training run in the real page: the route, the panel in both renderers, live messages."""

from __future__ import annotations

import json
import math
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from cointeract_pack.cointeract_core.training.run.curves import CurveLog

NODE = "CoInteractTrainLora"
ROUTE = "/cointeract/training"
STEPS = 240
PANEL = ".cointeract-panel"
ADD = """type => {
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    node.pos = [300, 100];
    app.graph.add(node);
    window.trained = node;
}"""
NAME = """name => {
    const widget = trained.widgets.find(widget => widget.name === 'name');
    widget.value = name;
    widget.callback?.(name);
    app.graph.setDirtyCanvas(true, true);
}"""
STATE = "() => trained.cointeractCurves.run.state"
SEND = "message => app.api.dispatchCustomEvent('cointeract.training', message)"


def values(step: int) -> dict[str, float | None]:
    fallen = math.exp(-4 * step / STEPS)
    return {
        "loss": 0.04 + 0.3 * fallen,
        "rgb": 0.015 + 0.06 * fallen,
        "hoi": 0.03 + 0.2 * fallen,
        "router": 0.01 + 1.1 * fallen,
        "face_accuracy": 1 - 0.6 * fallen,
        "hand_accuracy": 1 - 0.8 * fallen,
        "learning_rate": 1e-5,
        "gradient_norm": float("nan") if step == 7 else 0.4 * fallen,
        "memory_gb": 61.2,
        "seconds": 11.0,
        "validation": 0.05 + 0.1 * fallen if step % 40 == 0 else None,
    }


def write_run(server, name: str, steps: int = STEPS) -> None:
    """Put a run's curves where training leaves them."""
    log = CurveLog(Path(server.base) / "output" / "CoInteract" / "train" / name)
    for step in range(1, steps + 1):
        log.add(step, values(step))
    log.close()


def ask(server, name: str, prefix: str = "") -> dict:
    with urllib.request.urlopen(f"{server.address}{prefix}{ROUTE}?run={quote(name)}") as answer:
        assert answer.status == 200
        return json.loads(answer.read(), parse_constant=pytest.fail)


@pytest.fixture
def complaints(page) -> list[str]:
    """Errors of the page, and what its console says about our files and routes."""
    heard: list[str] = []

    def listen(message) -> None:
        text = f"{message.text} {message.location.get('url', '')}"
        if message.type in {"error", "warning"} and "cointeract" in text.lower():
            heard.append(text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


@pytest.fixture
def node(renderer, page):
    """The training node alone in the page, drawn by either renderer."""
    page.evaluate(ADD, NODE)
    page.wait_for_selector(PANEL)
    page.wait_for_timeout(700)  # until the renderer has given the node its size
    page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.wait_for_timeout(700)
    return renderer


def show_run(page, name: str, state: str = "saved") -> None:
    page.evaluate(NAME, name)
    page.wait_for_function(f"state => ({STATE})() === state", arg=state, timeout=20_000)


def drawn(page) -> list[str]:
    """Curves that have a line in the chart."""
    read = "lines => [...new Set(lines.filter(l => l.points.length > 1).map(l => l.dataset.curve))]"
    # it is drawn with the next frame, which a busy machine may show late
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.eval_on_selector_all(f"{PANEL} polyline", read)


def test_the_server_answers_from_disk(server):
    write_run(server, "answered", 9)
    for prefix in ("", "/api"):
        answer = ask(server, "answered", prefix)
        assert (answer["state"], answer["steps"]) == ("saved", list(range(1, 10)))
        assert answer["values"]["loss"] == [values(step)["loss"] for step in range(1, 10)]
        assert answer["values"]["gradient_norm"][6] is None
        assert "validation" not in answer["values"]
    assert ask(server, "never_begun")["state"] == "none"


@pytest.mark.parametrize("name", ["", "..", "../answered", "/etc/passwd", "a/../answered"])
def test_names_that_lead_elsewhere_get_a_sentence(name, server):
    assert "letters, digits" in ask(server, name)["error"]


def test_scripts_are_served(server):
    base = f"{server.address}/extensions/ComfyUI-CoInteract/"
    for name in ("training.js", "cointeract.css", "lib/chart.js", "lib/host.js", "lib/panel.js", "lib/series.js"):
        with urllib.request.urlopen(base + name) as answer:
            assert answer.headers.get_content_type() in {"application/javascript", "text/javascript", "text/css"}


def test_a_run_on_disk_is_drawn(node, page, server, complaints, tmp_path):
    write_run(server, "on_disk")
    show_run(page, "on_disk")
    shown = ["loss", "rgb", "hoi", "router", "validation", "face_accuracy", "hand_accuracy"]
    assert drawn(page) == shown
    plot = page.locator(f"{PANEL} svg").bounding_box()
    assert plot["width"] > 150
    assert plot["height"] > 80
    assert page.locator(f"{PANEL} .status").inner_text() == f"{STEPS} steps on disk"
    page.screenshot(path=tmp_path / f"curves_{node}.png")

    page.click(f"{PANEL} button[data-curve=router]")
    page.click(f"{PANEL} button[data-curve=learning_rate]")
    assert drawn(page) == ["loss", "rgb", "hoi", "validation", "face_accuracy", "hand_accuracy", "learning_rate"]
    labels = "() => [...document.querySelectorAll('.cointeract-panel .grid .left')].map(text => text.textContent)"
    linear = page.evaluate(labels)
    page.click(f"{PANEL} button[data-view=log]")
    page.wait_for_timeout(200)
    logarithmic = page.evaluate(labels)
    assert "0" in linear
    assert "0.1" in logarithmic
    assert "0" not in logarithmic
    page.click(f"{PANEL} button[data-view=smooth]")
    page.wait_for_timeout(200)
    assert page.locator(f"{PANEL} polyline.faint").count() == 0

    page.locator(f"{PANEL} .plot").hover()
    tip = page.locator(f"{PANEL} .tip").inner_text()
    assert tip.startswith("step ")
    assert "RGB" in tip
    assert complaints == []


def test_the_panel_follows_the_name(node, page, server, complaints):
    write_run(server, "first_name", 50)
    write_run(server, "second_name", 3)
    show_run(page, "first_name")
    page.evaluate(NAME, "second_name")
    page.wait_for_function("() => trained.cointeractCurves.run.steps.length === 3", timeout=20_000)
    show_run(page, "no_such_run", "none")
    assert page.locator(f"{PANEL} .status").inner_text() == "no run of this name yet"
    assert drawn(page) == []
    page.evaluate(NAME, "../outside")
    page.wait_for_selector(f"{PANEL} .status.problem", timeout=20_000)
    assert "letters, digits" in page.locator(f"{PANEL} .status").inner_text()
    assert complaints == []


def test_messages_of_a_running_run(node, page, server, complaints):
    """They are joined, other runs' are left alone, and a gap is filled from the server."""
    show_run(page, "live_run", "none")
    common = {"run": "live_run", "node": "1", "total": 9, "state": "running"}

    def send(after, steps, **more):
        table = {"loss": [step / 2 for step in steps]}
        page.evaluate(
            SEND, {**common, "text": f"step {steps[-1]}/9", "after": after, "steps": steps, "values": table, **more}
        )

    read = "() => { const run = trained.cointeractCurves.run; return [run.steps, run.values.loss, run.text]; }"
    send(0, [1, 2])
    send(2, [3])
    assert page.evaluate(read) == [[1, 2, 3], [0.5, 1, 1.5], "step 3/9"]
    assert drawn(page) == ["loss"]
    assert page.locator(f"{PANEL} .status").inner_text() == "running · step 3/9"
    send(3, [4], run="another_run")
    assert page.evaluate(read)[0] == [1, 2, 3]

    write_run(server, "live_run", 8)
    send(7, [8])  # 4 to 7 never came
    page.wait_for_function("() => trained.cointeractCurves.run.steps.length === 8", timeout=20_000)
    assert page.evaluate(read)[1] == [values(step)["loss"] for step in range(1, 9)]
    assert complaints == []


def test_the_panel_is_not_saved_and_goes_with_its_node(node, page):
    widgets = page.evaluate("() => trained.widgets.map(widget => widget.name)")
    assert "training_curves" in widgets
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    assert "training_curves" not in next(iter(prompt.values()))["inputs"]
    saved = page.evaluate("() => app.graph.serialize().nodes[0].widgets_values")
    kept = page.evaluate("() => trained.widgets.filter(widget => widget.serialize !== false).length")
    assert len(saved) == kept

    page.evaluate("() => app.graph.remove(trained)")
    assert page.evaluate("() => trained.cointeractCurves.timer") is None
    page.wait_for_selector(PANEL, state="detached")
