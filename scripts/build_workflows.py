"""Write the workflows of `workflows/` and the blueprint of `subgraphs/` in the page's own format.

    python scripts/build_workflows.py http://127.0.0.1:8188

The graphs are described in `workflow_graphs` and `blueprint_graph`; the order of inputs and widgets comes from a
running server that has this pack, so the files always fit the nodes as they are.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from pathlib import Path
from typing import Any

from graphs import blueprint_graph
from graphs.workflow_graphs import (
    FILES,
    Node,
    ad_nodes,
    app_mode,
    fast_nodes,
    file_address,
    groups,
    train_groups,
    train_nodes,
)

ROOT = Path(__file__).resolve().parents[1]
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def page_format(
    nodes: dict[str, Node],
    info: dict[str, Any],
    boxes: list[dict[str, Any]],
    extra: dict[str, Any],
    widget_inputs: bool = False,
) -> dict[str, Any]:
    """The graph as the page saves it, with more in its `extra`.

    With `widget_inputs`, widgets are among the inputs too, as a link to one needs it.
    """
    ids = {name: number for number, name in enumerate(nodes, 1)}
    links: list[list[Any]] = []
    saved = {name: _page_node(ids[name], node, info, links, nodes, ids) for name, node in nodes.items()}
    for name, node in nodes.items() if widget_inputs else ():
        saved[name]["inputs"] += [
            {"name": key, "type": kind, "widget": {"name": key}, "link": None}
            for key, (kind, _) in widget_values(node, info).items()
        ]
    for link, source, slot, *_ in links:
        name = next(name for name, number in ids.items() if number == source)
        saved[name]["outputs"][slot]["links"].append(link)
    return {
        "id": "c0117e2a-c7ed-4a0e-9c5e-" + f"{len(nodes):012d}",
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": list(saved.values()),
        "links": links,
        "groups": boxes,
        "config": {},
        "extra": {"ds": {"scale": 0.6, "offset": [60, 60]}, **extra},
        "version": 0.4,
    }


def widget_values(node: Node, info: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Type and value of a node's widgets."""
    return {
        key: (kind if isinstance(kind, str) else "COMBO", node.widgets.get(key, _default(kind, options)))
        for key, kind, options in _declared_inputs(info[node.type])
        if _is_widget(kind)
    }


def _page_node(
    number: int, node: Node, info: dict[str, Any], links: list, nodes: dict[str, Node], ids: dict[str, int]
) -> dict[str, Any]:
    note = node.type == "MarkdownNote"
    spec = {"input": {}, "output": [], "output_name": []} if note else info[node.type]
    inputs, values = [], list(node.widgets.values()) if note else []
    for key, kind, options in _declared_inputs(spec):
        if _is_widget(kind):
            values.append(node.widgets.get(key, _default(kind, options)))
            values += ["fixed"] if options.get("control_after_generate") else []
            values += ["image"] if options.get("image_upload") else []
            values += [None, None] if options.get("audio_upload") else []
            values += ["image"] if options.get("video_upload") else []
            continue
        link = None
        if key in node.wires:
            source, output = node.wires[key]
            slot = info[nodes[source].type]["output_name"].index(output)
            link = len(links) + 1
            links.append([link, ids[source], slot, number, len(inputs), kind])
        inputs.append({"name": key, "type": kind, "link": link})
    for key, label in node.labels.items():
        inputs.append({"name": key, "type": "COMBO", "widget": {"name": key}, "label": label, "link": None})
    outputs = [
        {"name": label, "type": kind, "links": []}
        for label, kind in zip(spec["output_name"], spec["output"], strict=True)
    ]
    properties: dict[str, Any] = {} if note else {"Node name for S&R": node.type}
    if node.type.startswith("CoInteract"):
        properties["cnr_id"] = "cointeract"
    if node.file:
        properties["models"] = _models(node)
    page = {
        "id": number, "type": node.type, "pos": list(node.pos), "size": list(node.size), "flags": {},
        "order": number - 1, "mode": 0, "inputs": inputs, "outputs": outputs,
        "properties": properties, "widgets_values": values,
    }  # fmt: skip
    if node.title:
        page["title"] = node.title
    if node.colour:
        page["color"], page["bgcolor"] = node.colour
    return page


def _declared_inputs(spec: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    declared = []
    for part in ("required", "optional"):
        for key, value in spec["input"].get(part, {}).items():
            declared.append((key, value[0], value[1] if len(value) > 1 else {}))
    return declared


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in WIDGET_TYPES


def _default(kind: Any, options: dict[str, Any]) -> Any:
    if "default" in options:
        return options["default"]
    choices = kind if isinstance(kind, list) else options.get("options", [])
    return choices[0] if choices else ""


def _models(node: Node) -> list[dict[str, str]]:
    """Links for the page's “missing models” dialog."""
    wanted = [node.file]
    for widget, name in node.widgets.items():
        wanted += [key for key, value in FILES.items() if value[0] == name and key not in wanted and widget != "base"]
    return [{"name": FILES[key][0], "url": file_address(key), "directory": FILES[key][1]} for key in wanted]


def main() -> None:
    """Write every workflow and the blueprint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="address of a running ComfyUI with this pack")
    with urllib.request.urlopen(parser.parse_args().server + "/object_info") as answer:
        info = json.load(answer)
    ads = {"cointeract_ad": ad_nodes(False), "cointeract_ad_pose": ad_nodes(True), "cointeract_ad_fast": fast_nodes()}
    graphs = {name: (nodes, groups(pose="pose" in nodes), app_mode(nodes)) for name, nodes in ads.items()}
    graphs["cointeract_train_lora"] = (train_nodes(), train_groups(), {})
    for name, (nodes, boxes, extra) in graphs.items():
        page = page_format(nodes, info, boxes, extra)
        _write(ROOT / "workflows" / f"{name}.json", page)
    inner = blueprint_graph.inner_nodes()
    values = {(name, key): value for name in inner for key, (_, value) in widget_values(inner[name], info).items()}
    page = blueprint_graph.blueprint(page_format(inner, info, [], {}, widget_inputs=True), values)
    _write(ROOT / "subgraphs" / f"{blueprint_graph.NAME}.json", page)


def _write(path: Path, page: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
