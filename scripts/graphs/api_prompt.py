"""Turn a workflow saved by the page into a prompt for the server's API.

The page saves widget values in the order of the node's inputs; `/object_info` of the running server says which inputs
a node has and which of them are widgets. Subgraphs are not resolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Prompt = dict[str, dict[str, Any]]

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTES = ("Note", "MarkdownNote")
REROUTE = "Reroute"
MUTED, BYPASSED = 2, 4  # the page's node modes
# the page adds a button or a choice behind these inputs and saves a value for each
EXTRA_VALUES = {
    "control_after_generate": 1,
    "image_upload": 1,
    "video_upload": 1,
    "file_upload": 1,
    "audio_upload": 2,  # the player and the button
}


def convert(page: dict[str, Any], info: dict[str, Any], values: dict[str, dict[str, Any]] | None = None) -> Prompt:
    """The API prompt of a workflow in the page's format.

    Args:
        page: the saved workflow.
        info: the server's `/object_info`.
        values: widget values to set instead of the saved ones, by node type and input.

    Raises:
        KeyError: a node type the server does not know.
        ValueError: a node whose saved values do not fit its inputs, or a workflow with subgraphs.
    """
    if page.get("definitions", {}).get("subgraphs"):
        raise ValueError("The workflow has subgraphs: unpack them in the page and save it again.")
    nodes = {node["id"]: node for node in page["nodes"]}
    links = {link[0]: (link[1], link[2]) for link in page["links"]}
    prompt: Prompt = {}
    for number, node in nodes.items():
        kind = node["type"]
        if kind in NOTES or kind == REROUTE or node.get("mode", 0) in (MUTED, BYPASSED):
            continue
        inputs = _widget_values(node, info[kind])
        for slot in node.get("inputs", ()):
            source = _source(slot.get("link"), links, nodes)
            if source is not None:
                inputs[slot["name"]] = source
        prompt[str(number)] = {"class_type": kind, "inputs": inputs | (values or {}).get(kind, {})}
    return prompt


def with_files(prompt: Prompt, names: dict[str, str]) -> Prompt:
    """The prompt with file names replaced wherever they are a whole value."""
    return {
        number: {**node, "inputs": {key: _replaced(value, names) for key, value in node["inputs"].items()}}
        for number, node in prompt.items()
    }


def _replaced(value: Any, names: dict[str, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value


def declared_inputs(node_info: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name, type and options of a node's inputs, in the page's order."""
    for part in ("required", "optional"):
        for name, declared in node_info["input"].get(part, {}).items():
            yield name, declared[0], declared[1] if len(declared) > 1 else {}


def is_widget(kind: Any, options: dict[str, Any]) -> bool:
    """Whether the page shows an input as a widget; a list of choices is the older form of COMBO."""
    return (isinstance(kind, list) or kind in WIDGETS) and not options.get("forceInput")


def _widget_values(node: dict[str, Any], node_info: dict[str, Any]) -> dict[str, Any]:
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):  # some nodes save their values by name
        return {name: saved[name] for name, _, _ in declared_inputs(node_info) if name in saved}
    place, values = 0, {}
    for name, kind, options in declared_inputs(node_info):
        if not is_widget(kind, options):
            continue
        if place >= len(saved):
            raise ValueError(f"Node {node['id']} ({node['type']}) has no saved value for {name}.")
        values[name] = saved[place]
        place += 1 + sum(count for option, count in EXTRA_VALUES.items() if options.get(option))
    return values


def _source(link: int | None, links: dict[int, tuple[int, int]], nodes: dict[int, dict[str, Any]]) -> list | None:
    """Node and output an input comes from, behind reroutes and bypassed nodes; None where there is none."""
    while link is not None:
        number, output = links[link]
        node = nodes[number]
        mode = node.get("mode", 0)
        if mode == MUTED:
            return None
        if node["type"] != REROUTE and mode != BYPASSED:
            return [str(number), output]
        # both hand on their first input of the type that the output has
        kind = node["outputs"][output]["type"]
        fitting = (slot for slot in node["inputs"] if node["type"] == REROUTE or slot["type"] == kind)
        link = next((slot.get("link") for slot in fitting), None)
    return None
