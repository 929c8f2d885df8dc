"""Each shipped workflow, opened in the page, queued by its button, and its video looked at."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

MAKING = ("cointeract_ad", "cointeract_ad_fast", "cointeract_ad_pose")  # videos; `test_training` runs the other one
WORKFLOWS = (*MAKING, "cointeract_train_lora")
SHOWING = ["CoInteractPersonReference", "CoInteractProductReference", "CoInteractSpeechEncoder"]
RUN_LIMIT = 240  # seconds


def get(server, path):
    with urllib.request.urlopen(server.address + path) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", MAKING)
def test_opens_and_makes_a_video(name, renderer, bench, page, server, tiny_workflow, tmp_path):
    import probe_video

    if name != MAKING[0]:
        bench.leave_out_of_old_vue_nodes(renderer, name)
    bench.forget()
    workflow = tiny_workflow(name)
    bench.open(workflow)
    assert bench.complaints() == []
    assert page.get_by_text("missing node", exact=False).count() == 0

    entry = bench.run(RUN_LIMIT)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    shown = [output for output in entry["outputs"].values() if output.get("animated") == [True]]
    assert len(shown) == 1
    file = shown[0]["images"][0]
    path = Path(server.base) / "output" / file["subfolder"] / file["filename"]
    seen = probe_video.probe(path)
    speech = probe_video.probe(Path(server.base) / "input" / "cointeract_speech.wav")["audio"]["seconds"]
    assert seen["fps"] == 25
    assert (seen["width"], seen["height"]) == (96, 128)
    assert 0 <= seen["frames"] / 25 - speech < 1 / 25
    assert abs(seen["audio"]["seconds"] - speech) < 0.05
    assert not seen["constant"]
    assert not seen["silent"]

    if bench.is_settled(renderer):  # older Vue nodes take any video for a picture
        page.wait_for_selector("video", state="attached", timeout=20_000)
    page.wait_for_timeout(1000)  # the last pictures are on their way
    assert set(SHOWING) <= set(bench.pictures())
    page.screenshot(path=tmp_path / f"{name}_{renderer}.png")
    assert bench.complaints() == []


def test_pictures_come_again_where_results_were_kept(renderer, bench, page, tiny_workflow):
    """A run that finds everything done, in a page that has not seen it being done."""
    if "has_intermediate_output" not in bench.get(f"/object_info/{SHOWING[0]}")[SHOWING[0]]:
        pytest.skip("This ComfyUI has no has_intermediate_output: nodes whose results were kept stay empty there.")
    workflow = tiny_workflow(MAKING[0])
    bench.open(workflow)
    assert bench.run(RUN_LIMIT)["status"]["status_str"] == "success"
    bench.load()
    bench.open(workflow)
    assert bench.pictures() == []
    entry = bench.run(RUN_LIMIT)
    assert entry["status"]["status_str"] == "success"
    kept = next(told["nodes"] for kind, told in entry["status"]["messages"] if kind == "execution_cached")
    assert len(kept) >= len(workflow["nodes"]) - 2 - 1  # without the notes; the sampler may show what it has
    page.wait_for_timeout(1500)
    assert bench.pictures() == SHOWING
    page.wait_for_selector("video", state="attached", timeout=20_000)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_page_saves_what_is_shipped(name, bench, page, tiny_workflow):
    """Widgets keep their values and links their ends when the page writes the graph again."""
    workflow = tiny_workflow(name)
    bench.open(workflow)
    saved = json.loads(page.evaluate("() => JSON.stringify(app.graph.serialize())"))
    theirs = {node["id"]: node for node in saved["nodes"]}
    for node in workflow["nodes"]:
        values = theirs[node["id"]]["widgets_values"]
        values = list(values.values()) if isinstance(values, dict) else values
        kept = [value for value in node["widgets_values"] if value is not None]
        assert [value for value in values if value not in (None, "")] == [value for value in kept if value != ""]
    assert sorted(link[1:5] for link in saved["links"]) == sorted(link[1:5] for link in workflow["links"])


def test_workflows_are_in_the_template_gallery(server, repo):
    listed = get(server, "/api/workflow_templates")
    folder = next(name for name, entries in listed.items() if "cointeract_ad" in entries)
    assert sorted(listed[folder]) == sorted(WORKFLOWS)
    for name in WORKFLOWS:
        page_format = get(server, f"/api/workflow_templates/{folder}/{name}.json")
        assert page_format == json.loads((repo / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        with urllib.request.urlopen(f"{server.address}/api/workflow_templates/{folder}/{name}.jpg") as answer:
            assert answer.read(3) == b"\xff\xd8\xff"  # a JPEG: the card's picture


def test_every_node_has_a_help_page(server):
    ours = [name for name, node in get(server, "/object_info").items() if node["category"].startswith("CoInteract")]
    assert len(ours) == 14
    for name in ours:
        with urllib.request.urlopen(f"{server.address}/extensions/ComfyUI-CoInteract/docs/{name}.md") as answer:
            assert answer.read().startswith(b"# ")


def test_every_input_of_every_node_has_a_tooltip(server):
    for name, node in get(server, "/object_info").items():
        if node["category"].startswith("CoInteract"):
            for part in ("required", "optional"):
                for key, declared in node["input"].get(part, {}).items():
                    assert declared[1].get("tooltip"), f"{name}.{key}"


def test_seeds_are_fixed(repo):
    for name in MAKING:
        nodes = json.loads((repo / "workflows" / f"{name}.json").read_text(encoding="utf-8"))["nodes"]
        sampler = next(node for node in nodes if node["type"] == "CoInteractSampler")
        assert sampler["widgets_values"][1] == "fixed"
