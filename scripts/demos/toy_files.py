"""What the shipped workflows are told so that they run in the drawn world: files, sampling, size and words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import SetupError
from demos.runs import Page, Values
from tiny.tiny_models import REAL_TO_TINY
from tiny.toy_inputs import FACTS
from tiny.toy_models import MODEL, SPEECH, TEXT, VAE

NO_ADAPTER = "none"  # router and experts are in the model itself
REAL_TO_TOY = {
    "wan2.2_s2v_14B_fp8_scaled.safetensors": MODEL,
    "checkpoint.safetensors": NO_ADAPTER,
    "wan_2.1_vae.safetensors": VAE,
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors": TEXT,
    "wav2vec2_large_xlsr53_chinese_fp32.safetensors": SPEECH,
}
NEXT_CLIP = "---"  # the Prompts node: a line of it stands between the prompts of two clips


def read_facts(base: Path) -> dict[str, Any]:
    """What `toy_inputs` wrote of the world and of the inputs in a base directory."""
    return json.loads((base / "input" / FACTS).read_text(encoding="utf-8"))


def values_for(facts: dict[str, Any], prompt: str, name: str) -> Values:
    """Widget values of the ad workflow.

    Args:
        facts: of `read_facts`.
        name: of the video.
    """
    return {
        "CoInteractPersonReference": size_of(facts),
        "CoInteractPrompts": {"prompts": prompt, "negative": facts["negative"]},
        "CoInteractSampler": {**facts["sampling"], "filename_prefix": f"CoInteract/{name}"},
    }


def size_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The size of the world's pictures, as nodes have it."""
    return {"size": "custom", "width": facts["width"], "height": facts["height"]}


def check_files(page: Page) -> None:
    """See that a workflow asks for nothing that the world's model lacks.

    Raises:
        SetupError: it asks for another model file.
    """
    asked = {value for node in page["nodes"] for value in _texts(node.get("widgets_values"))}
    lacking = sorted(asked & (set(REAL_TO_TINY) - set(REAL_TO_TOY)))
    if lacking:
        raise SetupError(f"The workflow asks for {lacking[0]}, which the toy model has not: add --random.")


def _texts(saved: Any) -> list[str]:
    values = saved.values() if isinstance(saved, dict) else saved or ()
    return [value for value in values if isinstance(value, str)]


def unknown_words(prompt: str, words: Sequence[str]) -> list[str]:
    """Words of a prompt that the world has not, each once."""
    return [word for word in dict.fromkeys(prompt.split()) if word not in (*words, NEXT_CLIP)]


def said_of_words(prompt: str, words: Sequence[str]) -> str | None:
    """One line about the words of a prompt that mean nothing to the model; None where it knows all of them."""
    unknown = unknown_words(prompt, words)
    if not unknown:
        return None
    named = ", ".join(f"“{word}”" for word in unknown)
    return f"the toy knows no word for {named}; its words are: {' '.join(words)}"
