"""Workflows filled in for a model that is there, laid where the page lists its user's own."""

from __future__ import annotations

import copy
import json
from typing import Any

from comfyui_setup.hostenv import ROOT
from comfyui_setup.hostserver import Server, fetch_json
from demos import lesson
from demos.runs import Page, Values, read_workflow
from demos.toy_files import REAL_TO_TOY, read_facts, values_for
from tiny.toy_inputs import SAMPLE

AD_WORKFLOW = ROOT / "workflows" / "cointeract_ad.json"
OWN_WORKFLOWS = ("user", "default", "workflows")  # below the base directory


def filled(page: Page, info: dict[str, Any], values: Values, files: dict[str, str]) -> Page:
    """A workflow of the page with other values in its widgets.

    Args:
        info: the server's `/object_info`.
        values: by node type and input.
        files: names to be taken instead of those the workflow has.
    """
    made = copy.deepcopy(page)
    for node in made["nodes"]:
        saved = node.get("widgets_values")
        if not isinstance(saved, list) or node["type"] not in info:
            continue
        saved[:] = [files.get(value, value) if isinstance(value, str) else value for value in saved]
        places = _places(info[node["type"]])
        for name, value in values.get(node["type"], {}).items():
            saved[places[name]] = value
    return made


def _places(node_info: dict[str, Any]) -> dict[str, int]:
    """Where the page keeps the value of each widget."""
    from graphs.api_prompt import EXTRA_VALUES, declared_inputs, is_widget

    place, found = 0, {}
    for name, kind, options in declared_inputs(node_info):
        if is_widget(kind, options):
            found[name] = place
            place += 1 + sum(count for option, count in EXTRA_VALUES.items() if options.get(option))
    return found


def lay_out(server: Server) -> list[str]:
    """Let the page list the workflows of making and of training, filled in for the drawn world; their names."""
    facts, info = read_facts(server.base), fetch_json(server.address + "/object_info")
    pages = {
        "toy_ad": (AD_WORKFLOW, values_for(facts, facts[SAMPLE]["prompt"], "toy")),
        "toy_train_lora": (lesson.WORKFLOW, lesson.training_values(facts)),
    }
    folder = server.base.joinpath(*OWN_WORKFLOWS)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (path, values) in pages.items():
        page = filled(read_workflow(path), info, values, REAL_TO_TOY)
        (folder / f"{name}.json").write_text(json.dumps(page, indent=1), encoding="utf-8")
    return [*pages]
