"""The cache of encoded rows: what names a part, what is noticed about its files, and what they come back as."""

from __future__ import annotations

import os
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.step.cache import (
    LATENTS,
    SPEECH,
    STAMP_BLOCK,
    STAMP_PLACES,
    TEXT,
    EncoderStamps,
    KeptSamples,
    SampleCache,
    SampleKeys,
    file_stamp,
    sample_keys,
    size_of,
)
from cointeract_pack.cointeract_core.training.step.sample import with_zeros, without_zeros
from cointeract_pack.cointeract_core.training.table.frames import FramePlan
from cointeract_pack.cointeract_core.training.table.preflight import CheckedRow
from cointeract_pack.cointeract_core.training.table.rows import Row
from cointeract_pack.cointeract_core.training.table.token_masks import TokenMasks

STAMPS = EncoderStamps(vae="v", text="t", audio="a")
F = 2
SHOWN = ("person_image", "product_image", "input_video", "motion_video", "hoi_video", "pose_video")
KEYS = SampleKeys("1", "2", "3")


@pytest.fixture
def checked(tmp_path: Path) -> CheckedRow:
    """A row whose files hold their own names: the cache looks at bytes only."""
    files = {}
    for name in (*SHOWN, "audio"):
        files[name] = tmp_path / name
        files[name].write_text(name, encoding="utf-8")
    frames = tuple(range(4 * F))
    plan = FramePlan(target=frames, motion=tuple(range(73)), hoi=frames, pose=frames, notes=())
    masks = TokenMasks(face=torch.ones(8, dtype=torch.uint8), hand=torch.zeros(8, dtype=torch.uint8))
    row = Row(number=2, prompt="A prompt.", product_scale=1.5, **files)
    return CheckedRow(row=row, plan=plan, size=VideoSize(64, 96), latents=F, token_masks=masks)


@pytest.fixture
def parts() -> dict[str, dict[str, torch.Tensor]]:
    """A whole row's parts, small."""
    latents = {"alone": F, "joint": 19 + F, "person": 1, "product": 1, "hoi": F, "pose": F}
    generator = torch.Generator().manual_seed(0)
    texts = ("main", "empty", "hoi", "hoi_empty")
    return {
        TEXT: {name: torch.randn(1, 5, 8, generator=generator) for name in texts},
        SPEECH: {"audio": torch.randn(1, 25, 8, 4 * F, generator=generator)},
        LATENTS: {name: torch.randn(1, 16, count, 2, 2, generator=generator) for name, count in latents.items()},
    }


def filled(folder, parts):
    cache = SampleCache(folder)
    for kind, key in ((TEXT, KEYS.text), (SPEECH, KEYS.speech), (LATENTS, KEYS.latents)):
        cache.put(kind, key, parts[kind])
    return cache


def changed_keys(one, two):
    return {field.name for field in fields(SampleKeys) if getattr(one, field.name) != getattr(two, field.name)}


def test_keys_stay_when_nothing_changes(checked):
    moved = checked.row.person_image.with_name("moved.png")
    checked.row.person_image.rename(moved)
    before = sample_keys(replace(checked, row=replace(checked.row, person_image=moved)), STAMPS)
    moved.rename(checked.row.person_image)
    os.utime(checked.row.person_image, (1, 1))
    other = replace(checked.row, number=7, product_scale=1.0, face={})  # the cache holds none of these
    assert sample_keys(replace(checked, row=other, token_masks=None), STAMPS) == before


@pytest.mark.parametrize("name", SHOWN)
def test_another_picture_changes_the_latents_only(checked, name):
    before = sample_keys(checked, STAMPS)
    getattr(checked.row, name).write_text("another", encoding="utf-8")
    assert changed_keys(before, sample_keys(checked, STAMPS)) == {"latents"}


def test_pictures_that_change_places_change_the_latents(checked):
    swapped = replace(checked.row, hoi_video=checked.row.pose_video, pose_video=checked.row.hoi_video)
    assert changed_keys(
        sample_keys(checked, STAMPS), sample_keys(replace(checked, row=swapped), STAMPS)
    ) == {"latents"}  # fmt: skip


def test_each_part_follows_what_it_is_made_from(checked):
    before = sample_keys(checked, STAMPS)

    def after(stamps=STAMPS, **changes):
        return changed_keys(before, sample_keys(replace(checked, **changes), stamps))

    assert after(row=replace(checked.row, prompt="Another.")) == {"text"}
    assert after(size=VideoSize(96, 64)) == {"latents"}
    assert after(plan=replace(checked.plan, motion=tuple(range(1, 74)))) == {"latents"}
    assert after(plan=replace(checked.plan, notes=("a note",))) == set()
    assert after(latents=3) == {"speech"}
    for stamp, part in (("vae", "latents"), ("text", "text"), ("audio", "speech")):
        assert after(replace(STAMPS, **{stamp: "x"})) == {part}
    checked.row.audio.write_text("another", encoding="utf-8")
    assert after() == {"speech"}


def test_a_row_comes_back_bit_for_bit(checked, parts, tmp_path):
    sample = filled(tmp_path / "deep" / "cache", parts).load(checked, KEYS)
    for name, tensor in parts[LATENTS].items():
        assert torch.equal(getattr(sample, name), tensor)
    for name, tensor in parts[TEXT].items():
        assert torch.equal(getattr(sample.prompts, name), tensor)
    assert torch.equal(sample.audio, parts[SPEECH]["audio"])
    assert sample.token_masks is checked.token_masks
    assert sample.product_scale == 1.5


def test_what_a_row_does_not_have_stays_absent(checked, parts, tmp_path):
    parts[LATENTS] = {name: parts[LATENTS][name] for name in ("alone", "person")}
    sample = filled(tmp_path, parts).load(replace(checked, token_masks=None), KEYS)
    assert (sample.joint, sample.product, sample.hoi, sample.pose, sample.token_masks) == (None,) * 5


def test_parts_made_and_read_inside_of_a_node_can_be_trained_on(checked, parts, tmp_path):
    with torch.inference_mode():
        cache = filled(tmp_path, {kind: {n: t.clone() for n, t in part.items()} for kind, part in parts.items()})
        with torch.inference_mode(False):
            sample = cache.load(checked, KEYS)
            weight = torch.ones((), requires_grad=True)
            (sample.alone * weight).sum().backward()  # keeps `alone` for the backward pass
            assert not sample.alone.is_inference()
    assert weight.grad == pytest.approx(parts[LATENTS]["alone"].sum().item(), rel=1e-4)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda data: data[:-1], lambda data: bytes(len(data))])
def test_a_damaged_part_is_removed(parts, tmp_path, damage):
    cache = filled(tmp_path, parts)
    path = tmp_path / "text_1.safetensors"
    assert cache.has(TEXT, "1")
    path.write_bytes(damage(path.read_bytes()))
    assert not cache.has(TEXT, "1")
    assert not path.exists()
    assert cache.has(SPEECH, "2")


def test_a_part_removed_during_a_run_is_named(checked, parts, tmp_path):
    cache = filled(tmp_path, parts)
    path = tmp_path / "speech_2.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    sentence = (
        "The speech of row 2 cannot be read from the cache (speech_2.safetensors), but it was encoded before; start "
        "the run again, which encodes it anew."
    )
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            cache.load(checked, KEYS)
        assert str(caught.value) == sentence
        path.unlink(missing_ok=True)


def test_a_part_that_cannot_get_its_name_leaves_nothing(tmp_path):
    taken = tmp_path / "text_1.safetensors"
    taken.mkdir()
    with pytest.raises(OSError, match="text_1"):
        SampleCache(tmp_path).put(TEXT, "1", {"main": torch.ones(1, 2, 3)})
    assert list(tmp_path.iterdir()) == [taken]


def test_only_old_left_overs_are_removed(parts, tmp_path):
    cache = filled(tmp_path, parts)
    old, young = tmp_path / ".text_9.safetensors.1.part", tmp_path / ".text_9.safetensors.2.part"
    for path in (old, young):
        path.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    for path in (old, tmp_path / "text_1.safetensors"):
        os.utime(path, (two_hours_ago, two_hours_ago))
    cache.tidy()
    assert not old.exists()
    assert young.exists()
    assert cache.has(TEXT, "1")
    SampleCache(tmp_path / "not there").tidy()


def test_stamps_tell_large_files_apart(tmp_path):
    """By their length, and by a change at the beginning, the end or a place looked at between."""
    path = tmp_path / "model"
    size = 40 * STAMP_BLOCK

    def stamp(place=None, length=size):
        with path.open("wb") as file:
            file.truncate(length)
            if place is not None:
                file.seek(place)
                file.write(b"x")
        return file_stamp(path)

    between = (size - STAMP_BLOCK) * 7 // (STAMP_PLACES - 1)
    stamps = [stamp(), stamp(0), stamp(between), stamp(size - 1), stamp(length=size + 1), stamp(length=0)]
    assert len(set(stamps)) == len(stamps)
    assert stamp() == stamps[0]
    os.utime(path, (1, 1))
    assert file_stamp(path) == stamps[0]


def test_stamps_see_every_byte_of_small_files(tmp_path):
    path = tmp_path / "model"
    stamps = set()
    for place in (0, 1, 5000, 9999):
        data = bytearray(10000)
        data[place] = 1
        path.write_bytes(data)
        stamps.add(file_stamp(path))
    assert len(stamps) == 4


def padded(text, tokens=512):
    return torch.cat([text, torch.zeros(1, tokens - text.shape[1], text.shape[2])], dim=1)


def test_the_zeros_behind_a_text_are_left_out_and_put_back(tmp_path, checked, parts):
    """They are most of it: 512 tokens of 4096 numbers, of which a prompt fills a twentieth."""
    whole = {name: padded(text, 512 if name != "hoi" else 600) for name, text in parts[TEXT].items()}
    cache = filled(tmp_path / "cache", {**parts, TEXT: whole})
    sample = cache.load(checked, KEYS)
    for name, text in whole.items():
        assert torch.equal(sample.prompts.whole(name), text)
        assert torch.equal(getattr(sample.prompts, name), parts[TEXT][name])
    assert (tmp_path / "cache" / f"text_{KEYS.text}.safetensors").stat().st_size < 2000


def test_texts_of_an_older_cache_are_read_as_they_are(tmp_path, checked, parts):
    from safetensors.torch import save_file

    cache = filled(tmp_path / "cache", parts)
    whole = {name: padded(text) for name, text in parts[TEXT].items()}
    save_file(whole, tmp_path / "cache" / f"text_{KEYS.text}.safetensors")
    sample = cache.load(checked, KEYS)
    assert all(torch.equal(sample.prompts.whole(name), text) for name, text in whole.items())


def test_a_text_of_nothing_keeps_one_token():
    assert without_zeros(torch.zeros(1, 512, 8)).shape == (1, 1, 8)
    text = torch.zeros(2, 6, 8)
    text[1, 3, 2] = -1e-30  # tokens between, and of one sample only, stay
    short = without_zeros(text)
    assert short.shape == (2, 4, 8)
    assert torch.equal(with_zeros(short, 6), text)
    assert with_zeros(text, 6) is text
    half = with_zeros(short.to(torch.bfloat16), 6)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, text.to(torch.bfloat16))


def test_rows_stay_in_memory_as_far_as_there_is_room(tmp_path, checked, parts):
    cache = filled(tmp_path / "cache", parts)
    sample = cache.load(checked, KEYS)
    loads = []

    def load():
        loads.append(1)
        return cache.load(checked, KEYS)

    kept = KeptSamples(room=2 * size_of(sample) + 1)
    found = [[kept.get(number, load) for number in (0, 1, 2)] for _ in range(3)]
    assert len(loads) == 2 + 3  # the third finds no room and is read every time
    assert found[0][0] is found[2][0]
    assert found[0][2] is not found[1][2]
    assert size_of(sample) > sum(part.nbytes for part in (sample.joint, sample.alone, sample.audio))
