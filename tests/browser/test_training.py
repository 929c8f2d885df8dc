"""The training workflow in the page: it runs on one row, learns it, and its adapter changes a clip."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

NAME = "cointeract_train_lora"
RUN_LIMIT = 600  # seconds; a machine with nothing else to do takes under 180
PANEL = "() => app.graph._nodes.find(n => n.type === 'CoInteractTrainLora').cointeractCurves.run"


@pytest.fixture
def row_folder(server, repo):
    """The published row in the server's input folder; the project's own where it is not at hand."""
    place = Path(server.base) / "input" / "cointeract_train"
    published = repo.parent / "shared" / "samples" / "train"
    if published.is_dir():
        shutil.rmtree(place)
        shutil.copytree(published, place)
    return place


@pytest.fixture
def workflow(repo):
    """The shipped workflow with tiny files, a tiny picture and the demo's settings."""
    import demo_train
    from tiny import tiny_models

    text = (repo / "workflows" / f"{NAME}.json").read_text(encoding="utf-8")
    for real, tiny in tiny_models.REAL_TO_TINY.items():
        text = text.replace(f'"{real}"', f'"{tiny}"')
    return json.loads(text), demo_train.training_values("page")


def set_values(page, values):
    """Fill in widgets as the page holds them, by node type and name."""
    page.evaluate(
        """values => { for (const node of app.graph._nodes)
        for (const [name, value] of Object.entries(values[node.type] ?? {})) {
            const widget = node.widgets.find(w => w.name === name);
            widget.value = value;
            widget.callback?.(value, app.canvas, node);
        } }""",
        values,
    )


def make_clip(bench, repo, adapter):
    """The mp4 of one clip of the ad workflow with an adapter, over the API."""
    from demos import runs
    from graphs import api_prompt
    from tiny import tiny_models

    info = bench.get("/object_info")
    ad = json.loads((repo / "workflows" / "cointeract_ad.json").read_text(encoding="utf-8"))
    values = {
        "CoInteractPersonReference": {"size": "custom", "width": 64, "height": 96},
        "CoInteractSampler": {"steps": 2},
        "CoInteractSpeechEncoder": {"max_clips": 1},
        "CoInteractLoadModel": {"adapter": adapter},
    }
    prompt = api_prompt.with_files(api_prompt.convert(ad, info, values=values), tiny_models.REAL_TO_TINY)
    number = runs.queue(bench.server, {"prompt": prompt})
    deadline = time.monotonic() + RUN_LIMIT
    while number not in (history := bench.get(f"/history/{number}")):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    entry = history[number]
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    file = next(output["images"][0] for output in entry["outputs"].values() if output.get("animated") == [True])
    return (Path(bench.server.base) / "output" / file["subfolder"] / file["filename"]).read_bytes()


def test_trains_on_one_row_from_the_page(renderer, bench, page, server, repo, workflow, row_folder, tmp_path):
    import demo_train

    bench.leave_out_of_old_vue_nodes(renderer, NAME)
    graph, values = workflow
    name = f"page_{renderer}"  # a run of the same name would be resumed
    values["CoInteractTrainLora"]["name"] = name
    bench.open(graph)
    assert bench.complaints() == []
    set_values(page, values)

    entry = bench.run(RUN_LIMIT)
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    folder = Path(server.base) / "output" / "CoInteract" / "train" / name
    rows = demo_train.read_curves(folder / "metrics.csv")
    assert len(rows) == values["CoInteractTrainLora"]["steps"]
    demo_train.what_was_learnt(rows)  # half the loss, and more than 95 % of face and hand tokens
    adapter = Path(server.base) / "models" / "loras" / "CoInteract" / f"{name}.safetensors"
    demo_train.check_adapter(adapter)  # LoRA and experts, nothing of the HOI stream

    page.wait_for_function(f"() => ({PANEL})().state === 'done'", timeout=20_000)
    assert page.evaluate(f"() => ({PANEL})().steps.length") > 100
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / f"{NAME}_{renderer}.png")
    assert bench.complaints() == []
    if renderer == "vue":
        return  # the adapter is the same whatever draws the nodes

    with_it, without = (make_clip(bench, repo, adapter) for adapter in (f"CoInteract/{name}.safetensors", "none"))
    assert with_it != without
    assert with_it == make_clip(bench, repo, f"CoInteract/{name}.safetensors")


def test_bad_rows_are_listed_and_nothing_is_loaded(bench, page, server, workflow, row_folder):
    """A row without its sound: the node's error names row, column and remedy."""
    table = row_folder / "data.csv"
    bad = row_folder / "bad.csv"
    bad.write_text(table.read_text(encoding="utf-8-sig").replace(".wav", ".mp3"), encoding="utf-8")
    graph, values = workflow
    bench.open(graph)
    values = {
        **values,
        "CoInteractTrainingData": {**values["CoInteractTrainingData"], "table": "cointeract_train/bad.csv"},
    }
    values["CoInteractTrainLora"] = {**values["CoInteractTrainLora"], "name": "never"}
    set_values(page, values)
    entry = bench.run(RUN_LIMIT)
    error = next(told for kind, told in entry["status"]["messages"] if kind == "execution_error")
    assert error["node_type"] == "CoInteractTrainLora"
    assert "1 of 1 rows have problems" in error["exception_message"]
    assert "row 2, audio:" in error["exception_message"]
    assert not (Path(server.base) / "output" / "CoInteract" / "train" / "never").exists()
