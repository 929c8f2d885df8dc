"""A real page of the real server in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

READY = "() => !!(window.app?.graph && window.LiteGraph?.registered_node_types['CoInteractSampler'])"
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
    opened.goto(server.address)
    opened.wait_for_function(READY, timeout=90_000)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tiny_workflow(repo: Path) -> Any:
    """Read a shipped workflow and make it small: tiny model files, a small picture, two steps."""
    import tiny_models

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
