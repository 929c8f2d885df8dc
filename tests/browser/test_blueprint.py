"""The blueprint, where ComfyUI takes blueprints from packs: listed, put into the page by its search, and run."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path

import pytest
from graphs import blueprint_graph

RUN_LIMIT = 240
PATIENCE = 60_000  # milliseconds; a busy machine takes its time
SMALL = {"size": "custom", "max_clips": 1, "steps": 2}
READY = """names => {
    const ad = app.graph._nodes.find(node => node.subgraph);
    return ad && names.every(name => ad.widgets?.some(widget => widget.name === name));
}"""
EMPTY = {"nodes": [], "links": [], "groups": [], "config": {}, "extra": {}, "version": 0.4}
# what a user would do with the mouse: pictures and the speech come in, files are chosen, and all is small
FILL = """([files, values]) => {
    const ad = app.graph._nodes.find(node => node.subgraph);
    const sources = [["LoadImage", "image", "cointeract_person.png", "person_image"],
                     ["LoadImage", "image", "cointeract_product.png", "product_image"],
                     ["LoadAudio", "audio", "cointeract_speech.wav", "speech_audio"]];
    const put = (node, name, value) => {
        const widget = node.widgets.find(widget => widget.name === name);
        widget.value = value;
        widget.callback?.(value, app.canvas, node);
    };
    sources.forEach(([type, widget, file, input], place) => {
        const node = LiteGraph.createNode(type);
        node.pos = [ad.pos[0] - 400, ad.pos[1] + 400 * place];
        app.graph.add(node);
        put(node, widget, file);
        node.connect(0, ad, ad.inputs.findIndex(({ name }) => name === input));
    });
    for (const { name, value } of [...ad.widgets]) if (files[value]) put(ad, name, files[value]);
    for (const [name, value] of Object.entries(values)) put(ad, name, value);
    const person = ad.subgraph.nodes.find(node => node.type === "CoInteractPersonReference");
    put(person, "width", 96);
    put(person, "height", 128);
}"""


@pytest.fixture
def listed(bench):
    """The server's list of blueprints."""
    try:
        return bench.get("/global_subgraphs")
    except urllib.error.HTTPError:
        pytest.skip("This ComfyUI takes no blueprints from packs.")


def test_is_listed_and_served(bench, listed, repo):
    number, entry = next((n, e) for n, e in listed.items() if e["name"] == blueprint_graph.NAME)
    assert entry["source"] == "custom_node"
    served = json.loads(bench.get(f"/global_subgraphs/{number}")["data"])
    assert served == json.loads((repo / "subgraphs" / f"{blueprint_graph.NAME}.json").read_text(encoding="utf-8"))


def test_makes_a_video_from_the_page(renderer, bench, page, listed, server, tmp_path):
    import probe_video
    from tiny import tiny_models

    bench.leave_out_of_old_vue_nodes(renderer, "the blueprint")
    page.wait_for_load_state("networkidle")  # it fetches blueprints last
    page.evaluate("graph => app.loadGraphData(graph)", EMPTY)
    page.wait_for_timeout(500)
    page.mouse.dblclick(900, 500)
    page.wait_for_function("() => document.activeElement.tagName === 'INPUT'", timeout=PATIENCE)
    page.keyboard.type(blueprint_graph.NAME[:30])
    found = "name => document.body.innerText.includes(name)"
    page.wait_for_function(found, arg=blueprint_graph.NAME, timeout=PATIENCE)
    page.wait_for_timeout(1000)  # results of the letters before may still give way to it
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    page.mouse.click(900, 400)  # newer pages let it hang at the mouse until then
    page.wait_for_function(READY, arg=list(SMALL), timeout=PATIENCE)

    bench.forget()
    page.evaluate(FILL, [tiny_models.REAL_TO_TINY, SMALL])
    page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.wait_for_timeout(1000)
    entry = bench.run(RUN_LIMIT)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    file = next(output["images"][0] for output in entry["outputs"].values() if output.get("animated") == [True])
    seen = probe_video.probe(Path(server.base) / "output" / file["subfolder"] / file["filename"])
    assert (seen["width"], seen["height"], seen["fps"]) == (96, 128, 25)
    assert seen["frames"] == 80
    assert not seen["silent"]
    page.screenshot(path=tmp_path / f"blueprint_{renderer}.png")
