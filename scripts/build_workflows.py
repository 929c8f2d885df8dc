"""Write the workflows of `workflows/` in the page's own format.

    python scripts/build_workflows.py http://127.0.0.1:8188

The graph is described below; the order of inputs and widgets comes from a running server that has this pack, so the
files always fit the nodes as they are.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HUB = "https://huggingface.co"
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
FILES = {
    "base": ("wan2.2_s2v_14B_fp8_scaled.safetensors", "diffusion_models",
             f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/diffusion_models/"),
    "adapter": ("checkpoint.safetensors", "model_patches", f"{HUB}/georgexin/cointeract/resolve/main/"),
    "pose adapter": ("checkpoint_pose.safetensors", "model_patches", f"{HUB}/georgexin/cointeract/resolve/main/"),
    "text": ("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders",
             f"{HUB}/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/text_encoders/"),
    "vae": ("wan_2.1_vae.safetensors", "vae",
            f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/vae/"),
    "audio": ("wav2vec2_large_xlsr53_chinese_fp32.safetensors", "audio_encoders",
              f"{HUB}/jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn/resolve/main/model.safetensors"),
}  # fmt: skip
FILES_NOTE = """## Files this needs

| file | folder in `models` | size |
|---|---|---|
| wan2.2_s2v_14B_fp8_scaled.safetensors | diffusion_models | 15.3 GB |
| {adapter} | model_patches | about 2.8 GB |
| umt5_xxl_fp8_e4m3fn_scaled.safetensors | text_encoders | 6.3 GB |
| wan_2.1_vae.safetensors | vae | 0.24 GB |
| wav2vec2_large_xlsr53_chinese_fp32.safetensors | audio_encoders | 1.3 GB |

The audio encoder is `model.safetensors` of
[jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn]({hub}/jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn):
save it under the name above. It serves every language; the English one of the same shape gives worse lips.
The adapter is at [georgexin/cointeract]({hub}/georgexin/cointeract)."""
STEPS_NOTE = """## An ad in five steps

1. Choose the model files on the left.
2. Load a picture of the **person**, one of the **product**, and the **speech**.
3. Describe the scene in **Prompts**; a line `---` starts the next clip's prompt.
4. Choose the size in **Person Reference**: start with 480x832.
5. Queue. Each clip adds 3.2 s, and the mp4 in `output/CoInteract` grows clip by clip.

For a quick look set `max_clips` to 1 in **Speech Encoder**."""


@dataclass
class Node:
    """A node of the graph, with its widgets by name and its inputs as (node, output name)."""

    type: str
    pos: tuple[int, int]
    size: tuple[int, int]
    widgets: dict[str, Any] = field(default_factory=dict)
    wires: dict[str, tuple[str, str]] = field(default_factory=dict)
    file: str | None = None
    title: str | None = None
    colour: tuple[str, str] | None = None


def ad_nodes(pose: bool) -> dict[str, Node]:
    """The ad workflow; with `pose`, the pose-driven one."""
    adapter = "pose adapter" if pose else "adapter"
    note = FILES_NOTE.format(adapter=FILES[adapter][0], hub=HUB)
    colour = ("#432", "#653")
    nodes = {
        "files note": Node("MarkdownNote", (0, 60), (460, 400), {"": note}, title="Files", colour=colour),
        "steps note": Node("MarkdownNote", (0, 520), (460, 330), {"": STEPS_NOTE}, title="Start here", colour=colour),
        "model": Node(
            "CoInteractLoadModel", (520, 60), (400, 190),
            {"base": FILES["base"][0], "adapter": FILES[adapter][0]}, file="base",
        ),
        "clip": Node("CLIPLoader", (520, 330), (400, 110), {"clip_name": FILES["text"][0], "type": "wan"}, file="text"),
        "vae": Node("VAELoader", (520, 500), (400, 70), {"vae_name": FILES["vae"][0]}, file="vae"),
        "audio encoder": Node(
            "AudioEncoderLoader", (520, 630), (400, 70), {"audio_encoder_name": FILES["audio"][0]}, file="audio"
        ),
        "person image": Node("LoadImage", (980, 60), (300, 330), {"image": "cointeract_person.png"}, title="Person"),
        "product image": Node(
            "LoadImage", (980, 460), (300, 330), {"image": "cointeract_product.png"}, title="Product"
        ),
        "speech audio": Node("LoadAudio", (980, 860), (300, 140), {"audio": "cointeract_speech.wav"}, title="Speech"),
        "person": Node(
            "CoInteractPersonReference", (1340, 60), (320, 380), {"size": "480x832 portrait"},
            {"image": ("person image", "IMAGE"), "vae": ("vae", "VAE")},
        ),
        "product": Node(
            "CoInteractProductReference", (1340, 510), (320, 380), {},
            {"person": ("person", "person"), "image": ("product image", "IMAGE"), "vae": ("vae", "VAE")},
        ),
        "speech": Node(
            "CoInteractSpeechEncoder", (1340, 960), (320, 330), {},
            {"audio": ("speech audio", "AUDIO"), "audio_encoder": ("audio encoder", "AUDIO_ENCODER")},
        ),
        "prompts": Node(
            "CoInteractPrompts", (520, 770), (400, 330),
            {"prompts": "A woman in a bright room looks into the camera, speaks with a friendly voice and holds the "
             "bottle next to her face.\n---\nShe lowers the bottle, turns its label to the camera and smiles."},
            {"clip": ("clip", "CLIP")},
        ),
        "sampler": Node(
            "CoInteractSampler", (1720, 60), (340, 480),
            {"seed": 42, "filename_prefix": "CoInteract/ad_pose" if pose else "CoInteract/ad"},
            {"model": ("model", "model"), "vae": ("vae", "VAE"), "person": ("person", "person"),
             "speech": ("speech", "speech"), "prompts": ("prompts", "prompts"), "product": ("product", "product")},
        ),
        "decode": Node(
            "CoInteractDecode", (1720, 610), (340, 620), {"all_frames": False}, {"clips": ("sampler", "clips")}
        ),
    }  # fmt: skip
    if pose:
        nodes["pose video"] = Node("LoadVideo", (980, 1080), (300, 250), {"file": "cointeract_pose.mp4"}, title="Pose")
        nodes["pose"] = Node(
            "CoInteractPoseEncoder", (1340, 1430), (320, 150), {},
            {"person": ("person", "person"), "speech": ("speech", "speech"), "vae": ("vae", "VAE"),
             "video": ("pose video", "VIDEO")},
        )  # fmt: skip
        nodes["sampler"].wires["pose"] = ("pose", "pose")
    return nodes


def groups(pose: bool) -> list[dict[str, Any]]:
    """Coloured frames around the steps."""
    bottom = 1610 if pose else 1380
    boxes = [
        ("1  Models and prompts", (500, 0, 440, bottom), "#3f789e"),
        ("2  Your inputs", (960, 0, 340, bottom), "#8A8"),
        ("3  Prepare", (1320, 0, 360, bottom), "#a1309b"),
        ("4  Make the video", (1700, 0, 380, bottom), "#b58b2a"),
    ]
    return [
        {"id": number, "title": title, "bounding": list(box), "color": colour, "font_size": 24, "flags": {}}
        for number, (title, box, colour) in enumerate(boxes, 1)
    ]


def page_format(nodes: dict[str, Node], info: dict[str, Any], boxes: list[dict[str, Any]]) -> dict[str, Any]:
    """The graph as the page saves it."""
    ids = {name: number for number, name in enumerate(nodes, 1)}
    links: list[list[Any]] = []
    saved = {name: _page_node(ids[name], node, info, links, nodes, ids) for name, node in nodes.items()}
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
        "extra": {"ds": {"scale": 0.6, "offset": [60, 60]}},
        "version": 0.4,
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
    if "adapter" in node.widgets:
        wanted.append(next(key for key, value in FILES.items() if value[0] == node.widgets["adapter"]))
    models = []
    for key in wanted:
        name, directory, url = FILES[key]
        address = url if url.endswith(".safetensors") else url + name
        models.append({"name": name, "url": address, "directory": directory})
    return models


def main() -> None:
    """Write both workflows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="address of a running ComfyUI with this pack")
    with urllib.request.urlopen(parser.parse_args().server + "/object_info") as answer:
        info = json.load(answer)
    for name, pose in (("cointeract_ad", False), ("cointeract_ad_pose", True)):
        page = page_format(ad_nodes(pose), info, groups(pose))
        path = ROOT / "workflows" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
