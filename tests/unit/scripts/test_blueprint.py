"""The blueprint's file, without a page: every end of every link is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphs import blueprint_graph


@pytest.fixture(scope="module")
def page(repo) -> dict[str, Any]:
    return json.loads((repo / "subgraphs" / f"{blueprint_graph.NAME}.json").read_text(encoding="utf-8"))


def test_one_node_stands_for_it(page):
    (node,) = page["nodes"]
    (inside,) = page["definitions"]["subgraphs"]
    assert node["type"] == inside["id"]
    assert [slot["name"] for slot in node["inputs"]] == [slot["name"] for slot in inside["inputs"]]
    assert node["id"] not in {inner["id"] for inner in inside["nodes"]}
    promoted = [name for _, name in node["properties"]["proxyWidgets"]]
    assert promoted == [slot["name"] for slot in node["inputs"] if "widget" in slot]
    assert len(node["widgets_values"]) == len(promoted)
    assert [slot["type"] for slot in inside["outputs"]] == ["VIDEO"]


def test_links_meet_slots_of_their_type(page):
    (inside,) = page["definitions"]["subgraphs"]
    nodes = {node["id"]: node for node in inside["nodes"]}
    for link in inside["links"]:
        coming, going = link["origin_id"], link["target_id"]
        source = inside["inputs"] if coming == blueprint_graph.INPUT_NODE else nodes[coming]["outputs"]
        target = inside["outputs"] if going == blueprint_graph.OUTPUT_NODE else nodes[going]["inputs"]
        ends = source[link["origin_slot"]], target[link["target_slot"]]
        assert [end["type"] for end in ends] == [link["type"]] * 2
        given = ends[1]["linkIds"] if going == blueprint_graph.OUTPUT_NODE else [ends[1]["link"]]
        assert given == [link["id"]]
        assert link["id"] in (ends[0].get("linkIds") or ends[0]["links"])


def test_what_must_be_linked_is_linked(page):
    """All of the pack's sockets but the optional ones, and every input of the one node."""
    (inside,) = page["definitions"]["subgraphs"]
    free = {slot["name"] for node in inside["nodes"] for slot in node["inputs"] if "widget" not in slot}
    free -= {slot["name"] for node in inside["nodes"] for slot in node["inputs"] if slot["link"] is not None}
    assert free == {"mask", "pose", "transparency"}  # of a picture from Load Image, its file is asked
    assert all(slot["linkIds"] for slot in inside["inputs"])
