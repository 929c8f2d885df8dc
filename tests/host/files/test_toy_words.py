"""The drawn world's text encoder, loaded as the page loads it, says which words of a prompt it does not know."""

from __future__ import annotations

import json
import logging

import comfy.sd
import pytest
import torch
from tiny import toy_models

from cointeract_pack.tests.host.tiny_config import tiny_host_config

WORDS = ("can", "red")


@pytest.fixture
def clip(tmp_path, repo):
    path = tmp_path / toy_models.TEXT
    torch.save(toy_models.text_state(WORDS), path)
    path.with_suffix(".json").write_text(json.dumps(toy_models.text_sizes(WORDS)), encoding="utf-8")
    with tiny_host_config(repo):
        yield comfy.sd.load_clip([str(path)], clip_type=comfy.sd.CLIPType.WAN)


def test_unknown_words_are_said_once(clip, caplog):
    caplog.set_level(logging.WARNING)
    clip.tokenize("red can")
    clip.tokenize("")
    assert not [line for line in caplog.messages if "knows no word" in line]
    for _ in range(2):
        tokens = clip.clone().tokenize("(red:1.2) zebra can\nZoo zebra")
    said = [line for line in caplog.messages if "knows no word" in line]
    assert said == ["the toy knows no word for zebra, Zoo; its words are: can red"]
    assert [token for token, _ in tokens["umt5xxl"][0][:4]] == [4, 2, 3, 2]


def test_the_tokenizer_can_still_be_saved(clip):
    assert torch.equal(clip.tokenizer.state_dict()["spiece_model"], toy_models.word_tokenizer(WORDS))
