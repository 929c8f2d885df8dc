"""Damaged inputs of every reader: whatever arrives, it is read, or refused in one sentence of our own.

A few hundred inputs of each reader are tried here; ``COINTERACT_FUZZ=100000`` tries so many.
"""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import pytest

from cointeract_pack.cointeract_core.checkpoint.header import is_later_shard, read_headers, shard_files
from cointeract_pack.cointeract_core.checkpoint.identify import identify
from cointeract_pack.cointeract_core.checkpoint.keys import (
    lora_to_official,
    parse_lora,
    rename_all,
    to_official,
    to_ours,
)
from cointeract_pack.cointeract_core.checkpoint.merge import (
    base_names,
    check_base,
    check_pair,
    check_tensors,
    plan_adapter,
    take,
)
from cointeract_pack.cointeract_core.conditioning.prompts import prompts_for, split_prompts
from cointeract_pack.cointeract_core.errors import CoInteractError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.run.curves import read_rows
from cointeract_pack.cointeract_core.training.run.state import load_state
from cointeract_pack.cointeract_core.training.settings.rules import number_in, row_numbers
from cointeract_pack.cointeract_core.training.settings.toml import dump_toml, load_settings
from cointeract_pack.cointeract_core.training.table.box_cells import boxes_text, read_boxes
from cointeract_pack.cointeract_core.training.table.box_forms import in_corners
from cointeract_pack.cointeract_core.training.table.boxes import (
    box_notes,
    box_problems,
    count_latents,
    in_frames,
    in_time,
)
from cointeract_pack.cointeract_core.training.table.rows import parse_row, read_table
from cointeract_pack.cointeract_core.training.table.token_masks import token_masks
from cointeract_pack.tests.unit.core.mutations import NASTY
from cointeract_pack.tests.unit.core.seeds import (
    CELL,
    EXPERTS,
    LORA,
    METRICS,
    MODEL,
    NUMBERS,
    PROMPTS,
    STATE,
    TABLE,
    TOML,
    bytes_of,
    header_bytes,
    tensor_file,
    text_of,
)

COUNT = int(os.environ.get("COINTERACT_FUZZ", "250"))
LONGEST_SENTENCE = 1500
SIZE = VideoSize(64, 96)


def read_model(path):
    """A file as base, then as adapter."""
    for shard in shard_files(path, "base"):
        header = read_headers([shard], "base")
    identity = identify(header)
    expected = {name: tuple(shape) for name, shape in MODEL.items()}

    def as_base():
        check_base("base x", identity)
        check_tensors("base x", take(header, base_names(header)), expected)

    def as_adapter():
        check_pair("adapter x", identify({}), identity)
        plan_adapter("adapter x", header, expected)

    def sort_out():
        plan_adapter("adapter x", header, expected)

    each_of(as_base, as_adapter, sort_out)


def is_sentence(error):
    return len(str(error)) < LONGEST_SENTENCE and "\n" not in str(error)


def is_refused(what, read):
    """Whether an input is refused, which is done in a sentence; whatever else is raised fails the test."""
    try:
        read()
    except CoInteractError as error:
        if not is_sentence(error):
            pytest.fail(f"{what}: {str(error)[:3000]!r} is no sentence")
        return True
    except BaseException as error:
        pytest.fail(f"{what}: {type(error).__name__}: {str(error)[:300]}")
    return False


def each_of(*steps):
    """Every step, also those after one that refuses."""
    refused = None
    for step in steps:
        try:
            step()
        except CoInteractError as error:
            refused = error
    if refused is not None:
        raise refused


def read_names(text):
    for name in (text, *text.split("\n")):
        for function in (to_ours, to_official, parse_lora, lora_to_official, is_later_shard):
            function(name)
    rename_all(text.split("\n"))


def read_cell(text):
    boxes = read_boxes(text, "face")
    if count_latents([boxes], 20):
        boxes = in_frames(boxes)
    placed, notes = in_corners(boxes, SIZE)
    problems = box_problems(placed, SIZE, 20) + box_notes(placed, 20)
    assert all(len(said) < LONGEST_SENTENCE for said in problems + notes)
    each_of(
        lambda: in_time(boxes, range(80)),
        lambda: token_masks(read_boxes(text, "face"), read_boxes(text, "hand"), 20, SIZE, SIZE),
        lambda: token_masks(read_boxes(boxes_text(placed), "face"), None, 20, SIZE, SIZE),
    )


def read_prompts(text):
    prompts_for(len(split_prompts(text)), 2)


def read_numbers(text):
    each_of(lambda: row_numbers("validation_rows", text), lambda: number_in("learning_rate", text))


def read_rows_of(path):
    table = read_table(path)
    for number, cells in table.rows:
        draft = parse_row(number, cells, path.parent)
        assert all(len(problem.text) < LONGEST_SENTENCE for problem in draft.problems)


def read_settings(path):
    assert load_settings(path) is not None
    dump_toml(load_settings(path))


def in_file(name, read):
    """A reader of files, given bytes."""

    def run(data, folder):
        path = folder / name
        path.write_bytes(data)
        read(path)

    return run


def in_memory(read):
    return lambda text, _folder: read(text)


READERS = {
    "header": (header_bytes, in_file("model.safetensors", read_model)),
    "names": (text_of([*MODEL, *LORA, *EXPERTS, "a\nb"]), in_memory(read_names)),
    "boxes": (text_of([CELL, "", "[]", "null"]), in_memory(read_cell)),
    "table": (bytes_of(TABLE), in_file("data.csv", read_rows_of)),
    "settings": (bytes_of(TOML), in_file("settings.toml", read_settings)),
    "prompts": (text_of(PROMPTS), in_memory(read_prompts)),
    "numbers": (text_of(NUMBERS), in_memory(read_numbers)),
    "metrics": (bytes_of(METRICS), in_file("metrics.csv", read_rows)),
    "state": (bytes_of(STATE), in_file("state.json", lambda path: load_state(path.parent))),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_arrives_is_read_or_refused_in_a_sentence(reader, tmp_path):
    make, read = READERS[reader]
    refused = 0
    for number in range(COUNT):
        data = make(random.Random(zlib.crc32(reader.encode()) + number))
        refused += is_refused(f"{reader} {number}", lambda data=data: read(data, tmp_path))
    assert refused or reader == "names"  # the inputs are damaged indeed


KNOWN = {  # each was a raw error once
    "header": [
        tensor_file({"blocks.0.self_attn.q.lora_A.weight": (), "depth_head.head.weight": (1, 2, 3)}),
        tensor_file({"blocks.0.self_attn.q.lora_A.weight": (), "cointeract.hoi.head.weight": ()}),
        tensor_file({"blocks.0.ffn.router.0.weight": (), "blocks.0.ffn.hand_expert.fc1.weight": ()}),
        tensor_file({"head.modulation": (), "patch_embedding.weight": ()}),
        tensor_file(LORA | {"blocks.0.self_attn.q.lora_A.weight": (), "blocks.0.self_attn.q.lora_B.weight": ()}),
        tensor_file(
            LORA | {"blocks.0.self_attn.q.lora_A.weight": (0, 8), "blocks.0.self_attn.q.lora_B.weight": (8, 0)}
        ),
        tensor_file({"base_model.model." * 2_000 + "a": (1,)}),
    ],
    "boxes": [f'{{"frame_2": [{10**400}, 0, 1, 1]}}', "[" * 100_000],
    "settings": [f"{TOML}x = {'[' * 3_000}".encode(), f"{TOML}x = 0x{'f' * 5_000}".encode()],
    "metrics": [
        b"step,loss\n\xa3,1\n",
        b"step,loss\n" + b"9" * 5_000 + b",1\n",
        b'step,loss\n"' + b"9" * 200_000 + b"\n",
    ],
    "numbers": ["9" * 5_000],
    "state": [b"[]", b"{}", b'{"step": "3"}', b"[" * 100_000],
}


@pytest.mark.parametrize(("reader", "data"), [(name, data) for name, listed in KNOWN.items() for data in listed])
def test_what_was_a_raw_error_once(reader, data, tmp_path):
    with pytest.raises(CoInteractError) as refusal:
        READERS[reader][1](data, tmp_path)
    assert is_sentence(refusal.value)


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("reader", ["boxes", "prompts", "numbers"])
def test_each_sign_alone(reader, name, tmp_path):
    answer = None
    try:
        READERS[reader][1](name, tmp_path)
    except CoInteractError as error:
        answer = error
    assert answer is None or is_sentence(answer)


def test_files_that_are_folders_or_gone_are_named(tmp_path):
    for read in (lambda path: read_headers([path], "base"), read_table, load_settings, load_state):
        for path in (tmp_path, tmp_path / "gone"):
            with pytest.raises(CoInteractError):
                read(Path(path))
