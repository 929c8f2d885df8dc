"""What the running workflow says about a wired model, where the model itself does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths
from safetensors import SafetensorError, safe_open

AUDIO_LOADER, AUDIO_INPUT = "AudioEncoderLoader", "audio_encoder_name"
LM_HEAD = "lm_head.weight"


def audio_encoder_file(prompt: dict[str, Any] | None, node_id: str | None, name: str = "audio_encoder") -> str | None:
    """File name in the host's audio encoder loader that feeds input `name` of a node; None where another node does.

    Args:
        prompt: the workflow in the host's API form, a hidden input of nodes.
        node_id: the node that asks.
    """
    link = ((prompt or {}).get(str(node_id)) or {}).get("inputs", {}).get(name)
    if not isinstance(link, list):
        return None
    source = (prompt or {}).get(str(link[0]), {})
    file_name = source.get("inputs", {}).get(AUDIO_INPUT) if source.get("class_type") == AUDIO_LOADER else None
    return file_name if isinstance(file_name, str) else None


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
