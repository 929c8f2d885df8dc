"""A real page of the real server in headless Chromium."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

READY = "() => !!(window.app?.graph && window.LiteGraph?.registered_node_types['CoInteractSampler'])"
SETTLED_VUE = (1, 36)  # the first whose Vue nodes see everything that changes in them
VUE_SETTING = "Comfy.VueNodes.Enabled"
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@pytest.fixture(scope="module")
def browser(chrome: Path) -> Iterator[Any]:
    """One browser for the pages of a module; it goes with it, for Playwright keeps an event loop running."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chrome), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, server: Any) -> Iterator[Page]:
    """A loaded page that can reach nothing but the server."""
    opened = browser.new_page(viewport={"width": 1800, "height": 1150})
    opened.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
    opened.route("**/*", lambda route: route.continue_() if server.address in route.request.url else route.abort())
    Bench(opened, server).load()
    yield opened
    opened.close()


@pytest.fixture(params=["classic", "vue"])
def renderer(request: pytest.FixtureRequest, page: Page) -> Iterator[str]:
    """What draws the nodes: the classic canvas, or Vue ("Nodes 2.0")."""
    put = "([name, value]) => app.extensionManager.setting.set(name, value)"
    page.evaluate(put, [VUE_SETTING, request.param == "vue"])
    yield request.param
    page.evaluate(put, [VUE_SETTING, False])


class Bench:
    """A page of a server, and what a user does there."""

    missing = "() => app.graph._nodes.map(n => n.type).filter(t => !LiteGraph.registered_node_types[t])"
    shown = """() => app.graph._nodes.filter(node => LiteGraph.vueNodesMode
        ? [...document.querySelectorAll(`[data-node-id="${node.id}"] img`)].some(image => image.naturalWidth)
        : node.imgs?.some(image => image.naturalWidth)).map(node => node.type)"""
    problems = ".p-dialog, .p-toast-message-error, .p-toast-message-warn"

    def __init__(self, page: Page, server: Any) -> None:
        self.page, self.server = page, server

    def load(self) -> None:
        """Load the page, or load it anew."""
        self.page.goto(self.server.address)
        self.page.wait_for_function(READY, timeout=90_000)

    @property
    def frontend(self) -> tuple[int, ...]:
        """Version of the page."""
        return tuple(map(int, self.page.evaluate("() => __COMFYUI_FRONTEND_VERSION__").split(".")))

    def get(self, path: str) -> Any:
        """What the server answers to a GET."""
        with urllib.request.urlopen(self.server.address + path) as answer:
            return json.load(answer)

    def open(self, workflow: dict[str, Any]) -> None:
        """Load a workflow and show all of it."""
        self.page.evaluate("graph => app.loadGraphData(graph)", workflow)
        self.page.wait_for_function("count => app.graph._nodes.length === count", arg=len(workflow["nodes"]))
        self.page.wait_for_timeout(1500)  # dialogs about missing things open a moment later
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")

    def complaints(self) -> list[str]:
        """Nodes the page does not know, and what it says in dialogs and toasts."""
        return [*self.page.evaluate(self.missing), *self.page.locator(self.problems).all_inner_texts()]

    def is_settled(self, renderer: str) -> bool:
        """Whether the nodes are not those of Vue's first versions."""
        return renderer == "classic" or self.frontend >= SETTLED_VUE

    def leave_out_of_old_vue_nodes(self, renderer: str, what: str) -> None:
        """Skip a test for its time: Vue nodes that were young yet get one workflow."""
        if not self.is_settled(renderer):
            version = ".".join(map(str, self.frontend))
            pytest.skip(f"Vue nodes of page {version} run cointeract_ad only; {what} is run by those of newer pages.")

    def forget(self) -> None:
        """Let the server run everything anew."""
        body = json.dumps({"unload_models": True, "free_memory": True}).encode()
        request = urllib.request.Request(self.server.address + "/free", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).close()
        self.page.wait_for_timeout(1500)  # it looks at that between two runs, once a second

    def pictures(self) -> list[str]:
        """Types of the nodes that show a picture, without what loads one."""
        found = self.page.evaluate(self.shown)
        return sorted(name for name in found if name.startswith("CoInteract"))

    def run(self, limit: float) -> dict[str, Any]:
        """Click the button; the new entry of the history, once it is there."""
        before = set(self.get("/history"))
        self.page.click("[data-testid=queue-button] button, button[data-testid=queue-button]")
        return self.wait_for_run(before, limit)

    def wait_for_run(self, before: set[str], limit: float) -> dict[str, Any]:
        """The entry of the history that was not there before."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            new = {key: entry for key, entry in self.get("/history").items() if key not in before}
            if new:
                return next(iter(new.values()))
            self.page.wait_for_timeout(500)
        raise TimeoutError(f"The workflow did not end within {limit} seconds.")


@pytest.fixture
def bench(page: Page, server: Any) -> Bench:
    """A loaded page, and what a user does there."""
    return Bench(page, server)


@pytest.fixture(scope="session")
def tiny_workflow(repo: Path) -> Any:
    """Read a shipped workflow and make it small: tiny model files, a small picture, two steps."""
    from tiny import tiny_models

    small = {
        "CoInteractPersonReference": {0: "custom", 1: 96, 2: 128},
        "CoInteractSampler": {2: 2},
    }

    def read(name: str) -> dict[str, Any]:
        text = (repo / "workflows" / f"{name}.json").read_text(encoding="utf-8")
        for real, tiny in tiny_models.REAL_TO_TINY.items():
            text = text.replace(f'"{real}"', f'"{tiny}"')
        workflow = json.loads(text)
        for node in workflow["nodes"]:
            for slot, value in small.get(node["type"], {}).items():
                node["widgets_values"][slot] = value
        return workflow

    return read
