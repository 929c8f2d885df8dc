"""What the running workflow says about a wired model or picture, where the value itself does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import folder_paths
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import InputError
from ...media.picture import read_picture
from ..objects import Graph

AUDIO_LOADER, AUDIO_INPUT = "AudioEncoderLoader", "audio_encoder_name"
IMAGE_LOADERS, MASK_LOADER, IMAGE_INPUT = ("LoadImage", "LoadImageOutput"), "LoadImageMask", "image"
PAINTED = "clipspace/"  # where the page keeps pictures from its mask editor, whose opacity is what was painted
MODEL_SUFFIXES = (".safetensors", ".sft", ".gguf", ".pt", ".ckpt")
OTHER_MODELS = re.compile(r"vae|clip|text|audio")  # inputs with models that are no part of the MODEL
LM_HEAD = "lm_head.weight"
SEARCH_NAME = "Node name for S&R"  # a property of nodes on the page


def audio_encoder_file(prompt: Graph | None, node_id: str | None, name: str = "audio_encoder") -> str | None:
    """File name in the host's audio encoder loader that feeds input `name` of a node; None where another node does.

    Args:
        prompt: the workflow in the host's API form, a hidden input of nodes.
        node_id: the node that asks.
    """
    kind, inputs, _ = _source(prompt, node_id, name)
    file_name = inputs.get(AUDIO_INPUT) if kind == AUDIO_LOADER else None
    return file_name if isinstance(file_name, str) else None


def loaded_transparency(prompt: Graph | None, node_id: str | None, name: str = "image") -> Tensor | None:
    """Transparency of the file behind an IMAGE that comes straight from Load Image, which leaves it out.

    What was painted in the mask editor is no transparency of the picture and does not count.

    Returns:
        `[1, H, W]`, white where the picture is transparent, as Load Image's MASK; None where nothing is transparent, or
        another node gives the picture.
    """
    kind, inputs, slot = _source(prompt, node_id, name)
    file_name = inputs.get(IMAGE_INPUT)
    if kind not in IMAGE_LOADERS or slot != 0 or not isinstance(file_name, str) or _painted(file_name):
        return None
    try:
        picture = read_picture(Path(folder_paths.get_annotated_filepath(file_name)), name)
    except InputError:
        return None  # ComfyUI opens more kinds of files than Pillow, and what it gave is checked by itself
    return None if picture.shape[-1] != 4 or picture[..., 3].min() == 1 else 1.0 - picture[None, ..., 3]


def is_transparency(prompt: Graph | None, node_id: str | None, name: str = "mask") -> bool:
    """Whether a MASK comes straight from Load Image and holds the transparency of a file: white where nothing is."""
    kind, inputs, slot = _source(prompt, node_id, name)
    if _painted(str(inputs.get(IMAGE_INPUT))):
        return False
    return (kind in IMAGE_LOADERS and slot == 1) or (kind == MASK_LOADER and inputs.get("channel") == "alpha")


def _painted(file_name: str) -> bool:
    return file_name.startswith(PAINTED)


def _source(prompt: Graph | None, node_id: str | None, name: str) -> tuple[str, dict[str, Any], int]:
    """Class, inputs and output of the node that is wired to an input; empty where there is none."""
    link = ((prompt or {}).get(str(node_id)) or {}).get("inputs", {}).get(name)
    if not isinstance(link, list):
        return "", {}, 0
    source = (prompt or {}).get(str(link[0]), {})
    return source.get("class_type", ""), source.get("inputs", {}), link[1]


def widget_values(prompt: Graph | None, page: object) -> Callable[[str, str], object]:
    """Look up what ``%Node.widget%`` stands for, as ComfyUI's page does for its own save nodes.

    A node is called by its “Node name for S&R”, which is its class unless the user changed it, or by its title.

    Args:
        prompt: the workflow in the host's API form.
        page: what the page sends along with a prompt, a hidden input too; only that knows names the user changed.

    Returns:
        a function of node and widget; its answer is None where there is no such node, or where its value is wired.
    """
    drawn = {str(node.get("id")): node for node in _nodes_of(page)}
    known = {key: node for key, node in (prompt or {}).items() if isinstance(node, dict)}

    def search_name(key: str) -> object:
        own = (drawn.get(key, {}).get("properties") or {}).get(SEARCH_NAME)
        return own or known[key].get("class_type")

    def title(key: str) -> object:
        return drawn.get(key, {}).get("title") or (known[key].get("_meta") or {}).get("title")

    def value_of(name: str, widget: str) -> object:
        keys = [key for key in known if search_name(key) == name] or [key for key in known if title(key) == name]
        value = (known[keys[0]].get("inputs") or {}).get(widget) if keys else None
        return value if isinstance(value, str | int | float) else None

    return value_of


def model_files(prompt: Graph | None, node_id: str | None, name: str) -> tuple[str, ...]:
    """Names of model files that nodes behind input `name` of a node load, LoRAs among them; the nearest first.

    Args:
        prompt, node_id: as in `audio_encoder_file`.
    """
    graph = prompt or {}
    link = ((graph.get(str(node_id)) or {}).get("inputs") or {}).get(name)
    waiting, seen = [link], set()
    found: dict[str, None] = {}
    while waiting:
        link = waiting.pop(0)
        if not _is_link(link) or str(link[0]) in seen:
            continue
        seen.add(str(link[0]))
        for key, value in ((graph.get(str(link[0])) or {}).get("inputs") or {}).items():
            if _is_link(value):
                waiting.append(value)
            elif not OTHER_MODELS.search(key):
                found |= dict.fromkeys(_file_names(value))
    return tuple(found)


def _is_link(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)


def _file_names(value: object) -> list[str]:
    """Names of model files in a value; some packs keep several in one."""
    if isinstance(value, str):
        return [value] if value.lower().endswith(MODEL_SUFFIXES) else []
    if isinstance(value, dict):
        return [name for item in value.values() for name in _file_names(item)]
    return []


def _nodes_of(page: object) -> list[dict[str, Any]]:
    workflow = page.get("workflow") if isinstance(page, Mapping) else None
    nodes = workflow.get("nodes") if isinstance(workflow, Mapping) else None
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []


def audio_encoder_vocabulary(file_name: str | None) -> int | None:
    """Rows of `lm_head.weight` in a safetensors file of the host's audio encoders; None where it was left out."""
    path = folder_paths.get_full_path("audio_encoders", file_name) if file_name else None
    if path is None or Path(path).suffix.lower() not in (".safetensors", ".sft"):
        return None
    try:
        with safe_open(path, "pt") as file:
            return file.get_slice(LM_HEAD).get_shape()[0] if LM_HEAD in file.keys() else None  # noqa: SIM118
    except SafetensorError:
        return None  # the host has loaded it, so it is replaced at this moment: nothing can be told
