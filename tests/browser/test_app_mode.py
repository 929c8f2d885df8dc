"""The ad workflow in app mode, where the page has one: what a maker of ads sets, and the video."""

from __future__ import annotations

import pytest

RUN_LIMIT = 240
TOGGLE = "Comfy.ToggleLinear"
FIRST = (1, 42)  # older pages do not read what a workflow says of it
SET = ("person", "product", "speech", "prompts", "size")


def test_makes_a_video_in_app_mode(bench, page, tiny_workflow, tmp_path):
    if bench.frontend < FIRST:
        pytest.skip("This page has no app mode.")
    bench.open(tiny_workflow("cointeract_ad"))
    bench.forget()
    page.evaluate("name => app.extensionManager.command.execute(name)", TOGGLE)
    for name in SET:
        page.get_by_text(name, exact=True).first.wait_for(state="attached", timeout=20_000)
    before = set(bench.get("/history"))
    page.wait_for_timeout(2000)
    tour = page.get_by_role("button", name="Skip")
    if tour.count():
        tour.first.click()
    page.get_by_role("button", name="Run", exact=True).locator("visible=true").first.click()
    entry = bench.wait_for_run(before, RUN_LIMIT)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    page.wait_for_selector("[data-testid=linear-video-output], video", state="attached", timeout=20_000)
    page.wait_for_timeout(500)
    page.screenshot(path=tmp_path / "app_mode.png")
