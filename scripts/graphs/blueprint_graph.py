"""The blueprint of `subgraphs/`: the ad workflow as one node, in the form of ComfyUI's own blueprints."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from graphs.workflow_graphs import Node, ad_nodes

NAME = "Ad from Person, Product and Speech (CoInteract)"
DESCRIPTION = (
    "An ad video in which the person of one picture speaks and handles the product of another, from a speech and a "
    "sentence or two."
)
# name and label of an input of the one node, and the node and input behind it
INPUTS = (
    ("person_image", "person", "person", "image"),
    ("product_image", "product", "product", "image"),
    ("speech_audio", "speech", "speech", "audio"),
    ("prompts", "prompts", "prompts", "prompts"),
    ("size", "size", "person", "size"),
    ("max_clips", "max_clips", "speech", "max_clips"),
    ("seed", "seed", "sampler", "seed"),
    ("steps", "steps", "sampler", "steps"),
    ("base", "base", "model", "base"),
    ("adapter", "adapter", "model", "adapter"),
    ("clip_name", "text encoder", "clip", "clip_name"),
    ("vae_name", "vae", "vae", "vae_name"),
    ("audio_encoder_name", "audio encoder", "audio encoder", "audio_encoder_name"),
)
OUTPUT = ("video", "decode", "video")
INPUT_NODE, OUTPUT_NODE = -10, -20  # as every page numbers them
OUTSIDE = ("files note", "steps note", "person image", "product image", "speech audio")
ROW = 20


def inner_nodes() -> dict[str, Node]:
    """Nodes of the ad workflow that make the video, without what goes into them from outside."""
    kept = {name: node for name, node in ad_nodes(False).items() if name not in OUTSIDE}
    return {
        name: replace(node, wires={key: wire for key, wire in node.wires.items() if wire[0] in kept})
        for name, node in kept.items()
    }


def blueprint(page: dict[str, Any], values: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """The file of a blueprint.

    Args:
        page: `inner_nodes` as the page saves a workflow, widgets among the inputs; links are added to it.
        values: of widgets, by node and name.
    """
    names = list(inner_nodes())
    by_name = dict(zip(names, page["nodes"], strict=True))
    links = [
        dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link, strict=True))
        for link in page["links"]
    ]
    inputs, widgets = [], {}
    for slot, (name, label, owner, key) in enumerate(INPUTS):
        node = by_name[owner]
        link = _link(links, INPUT_NODE, slot, node["id"])
        place, given = next((n, i) for n, i in enumerate(node["inputs"]) if i["name"] == key)
        given["link"] = link["id"]
        link |= {"target_slot": place, "type": given["type"]}
        inputs.append(_slot("input", name, label, given["type"], link["id"], slot))
        if "widget" in given:
            widgets[name] = values[owner, key]
    name, owner, key = OUTPUT
    source = by_name[owner]
    place = next(n for n, output in enumerate(source["outputs"]) if output["name"] == key)
    link = _link(links, source["id"], place, OUTPUT_NODE)
    link |= {"target_slot": 0, "type": source["outputs"][place]["type"]}
    source["outputs"][place]["links"].append(link["id"])
    outputs = [_slot("output", name, name, link["type"], link["id"], 0)]
    inside = _definition(page, links, inputs, outputs)
    number = page["last_node_id"] + 1  # ids inside must not come again outside
    return {
        "id": _id("file"), "revision": 0, "last_node_id": number, "last_link_id": 0,
        "nodes": [_instance(number, inputs, outputs, widgets)], "links": [], "groups": [],
        "definitions": {"subgraphs": [inside]}, "config": {}, "extra": {}, "version": 0.4,
    }  # fmt: skip


def _id(what: str) -> str:
    """The same id every time the file is written."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://github.com/cointeract/ComfyUI-CoInteract/{NAME}/{what}"))


def _link(links: list[dict[str, Any]], origin: int, slot: int, target: int) -> dict[str, Any]:
    link = {"id": len(links) + 1, "origin_id": origin, "origin_slot": slot, "target_id": target}
    links.append(link)
    return link


def _slot(side: str, name: str, label: str, kind: str, link: int, row: int) -> dict[str, Any]:
    across = 300 if side == "input" else 2220
    slot = {"id": _id(f"{side} {name}"), "name": name, "type": kind, "linkIds": [link], "pos": [across, 80 + ROW * row]}
    return slot if label == name else {**slot, "label": label}


def _definition(page: dict[str, Any], links: list, inputs: list, outputs: list) -> dict[str, Any]:
    state = {
        "lastGroupId": 0, "lastNodeId": page["last_node_id"], "lastLinkId": len(links), "lastRerouteId": 0,
    }  # fmt: skip
    height = ROW * (len(inputs) + 2)
    return {
        "id": _id("subgraph"), "version": 1, "state": state, "revision": 0, "config": {}, "name": NAME,
        "inputNode": {"id": INPUT_NODE, "bounding": [180, 60, 140, height]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [2200, 60, 120, 60]},
        "inputs": inputs, "outputs": outputs, "widgets": [], "nodes": page["nodes"], "groups": [], "links": links,
        "extra": {}, "category": "CoInteract", "description": DESCRIPTION,
    }  # fmt: skip


def _instance(number: int, inputs: list, outputs: list, widgets: dict[str, Any]) -> dict[str, Any]:
    """The one node; "-1" stands for its own inputs."""
    slots = []
    for slot in inputs:
        widget = {"widget": {"name": slot["name"]}} if slot["name"] in widgets else {}
        label = {"label": slot["label"]} if "label" in slot else {}
        slots.append({**label, "name": slot["name"], "type": slot["type"], **widget, "link": None})
    given_out = [{"name": slot["name"], "type": slot["type"], "links": None} for slot in outputs]
    return {
        "id": number, "type": _id("subgraph"), "pos": [0, 0], "size": [400, 520], "flags": {}, "order": 0, "mode": 0,
        "inputs": slots, "outputs": given_out, "title": NAME,
        "properties": {"proxyWidgets": [["-1", name] for name in widgets], "cnr_id": "cointeract"},
        "widgets_values": list(widgets.values()),
    }  # fmt: skip
