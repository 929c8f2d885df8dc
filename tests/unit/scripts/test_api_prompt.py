"""Workflows of the page as prompts for the API."""

from __future__ import annotations

import pytest
from graphs import api_prompt

INFO = {
    "Load": {
        "input": {"required": {"file": [["a.png", "b.png"], {"image_upload": True}]}},
        "output": ["IMAGE"],
    },
    "Mix": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "seed": ["INT", {"control_after_generate": True}],
                "mode": ["COMBO", {"options": ["x", "y"]}],
                "wired": ["FLOAT", {"forceInput": True}],
            },
            "optional": {"other": ["IMAGE"], "amount": ["FLOAT", {"default": 1.0}]},
        },
        "output": ["IMAGE"],
    },
}


def node(number, kind, inputs=(), values=None, mode=0, outputs=("IMAGE",)):
    return {
        "id": number,
        "type": kind,
        "mode": mode,
        "inputs": [{"name": name, "type": "IMAGE", "link": link} for name, link in inputs],
        "outputs": [{"type": kind} for kind in outputs],
        "widgets_values": values,
    }


LOAD = node(1, "Load", values=["a.png", "image"])
MIX = node(9, "Mix", [("image", 5), ("other", None)], [7, "fixed", "y", 0.5])


def page(*nodes, links=((5, 1, 0, 9, 0, "IMAGE"),)):
    return {"nodes": list(nodes), "links": [list(link) for link in links]}


def test_widgets_and_links():
    assert api_prompt.convert(page(LOAD, MIX), INFO) == {
        "1": {"class_type": "Load", "inputs": {"file": "a.png"}},
        "9": {"class_type": "Mix", "inputs": {"image": ["1", 0], "seed": 7, "mode": "y", "amount": 0.5}},
    }


def test_a_linked_widget_keeps_its_place_in_the_saved_values():
    mixing = node(9, "Mix", [("image", 5), ("seed", 5)], [7, "fixed", "y", 0.5])
    inputs = api_prompt.convert(page(LOAD, mixing), INFO)["9"]["inputs"]
    assert inputs == {"image": ["1", 0], "seed": ["1", 0], "mode": "y", "amount": 0.5}


def test_values_can_be_set():
    prompt = api_prompt.convert(page(LOAD, MIX), INFO, values={"Mix": {"seed": 3}})
    assert prompt["9"]["inputs"]["seed"] == 3
    assert prompt["9"]["inputs"]["mode"] == "y"


def test_values_saved_by_name():
    mixing = node(9, "Mix", [("image", 5)], {"mode": "x", "seed": 1, "amount": 2.0, "preview": {}})
    inputs = api_prompt.convert(page(LOAD, mixing), INFO)["9"]["inputs"]
    assert inputs == {"image": ["1", 0], "seed": 1, "mode": "x", "amount": 2.0}


def test_notes_and_muted_nodes_are_left_out():
    muted = node(1, "Load", values=["a.png", "image"], mode=api_prompt.MUTED)
    prompt = api_prompt.convert(page(muted, MIX, node(2, "MarkdownNote", values=["text"])), INFO)
    assert list(prompt) == ["9"]
    assert "image" not in prompt["9"]["inputs"]


@pytest.mark.parametrize(("kind", "mode"), [("Reroute", 0), ("Mix", api_prompt.BYPASSED)])
def test_reroutes_and_bypassed_nodes_hand_on_their_input(kind, mode):
    between = node(4, kind, [("image", 6)], [7, "fixed", "y", 0.5], mode=mode)
    links = ((6, 1, 0, 4, 0, "IMAGE"), (5, 4, 0, 9, 0, "IMAGE"))
    prompt = api_prompt.convert(page(LOAD, between, MIX, links=links), INFO)
    assert sorted(prompt) == ["1", "9"]
    assert prompt["9"]["inputs"]["image"] == ["1", 0]


def test_unknown_nodes_are_named():
    with pytest.raises(KeyError, match="Gone"):
        api_prompt.convert(page(node(1, "Gone")), INFO)


def test_too_few_saved_values_are_named():
    with pytest.raises(ValueError, match=r"^Node 9 \(Mix\) has no saved value for mode\.$"):
        api_prompt.convert(page(LOAD, node(9, "Mix", [("image", 5)], [7, "fixed"])), INFO)


def test_subgraphs_are_refused():
    with pytest.raises(ValueError, match="subgraphs"):
        api_prompt.convert({**page(LOAD), "definitions": {"subgraphs": [{}]}}, INFO)


def test_file_names_are_replaced_as_whole_values():
    prompt = {"1": {"class_type": "Load", "inputs": {"file": "a.png", "text": "about a.png", "link": ["2", 0]}}}
    inputs = api_prompt.with_files(prompt, {"a.png": "tiny.png"})["1"]["inputs"]
    assert inputs == {"file": "tiny.png", "text": "about a.png", "link": ["2", 0]}
    assert prompt["1"]["inputs"]["file"] == "a.png"
