"""Rows encoded with the host's real loaders on tiny files: what is made again, and what is left behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host.files.load_encoders import (
    check_encoders,
)
from cointeract_pack.cointeract_core.host.train import encode_rows as train_encode
from cointeract_pack.cointeract_core.host.train.encode_rows import fill_cache
from cointeract_pack.cointeract_core.training.step.cache import SampleCache
from cointeract_pack.tests.host.train.encoding import checked_row, files_of, kinds_of, nothing


def test_rows_that_share_a_part_make_it_once(filled_cache, encoder_files, tmp_path):
    """The user reads which row is in hand, in the table's order."""
    folder, row, keys = filled_cache
    shutil.copy(folder / f"speech_{keys.speech}.safetensors", tmp_path)
    rows = [replace(row, row=replace(row.row, number=number)) for number in (2, 3, 5)]
    rows[1] = replace(rows[1], row=replace(rows[1].row, prompt="Another one."))
    told = []
    found = fill_cache(rows, encoder_files, SampleCache(tmp_path), lambda *said: told.append(said))
    assert told == [
        (0, 2, "row 2 (1 of 2): prompts"),
        (1, 2, "row 3 (2 of 2): prompts"),
        (0, 1, "row 2 (1 of 1): pictures and videos"),
    ]
    assert found == [keys, replace(keys, text=found[1].text), keys]
    assert kinds_of(tmp_path) == ["latents", "speech", "text", "text"]


def test_interrupt_stops_within_a_row(filled_cache, encoder_files, tmp_path, monkeypatch):
    import comfy.model_management

    folder, row, keys = filled_cache
    real, encoded = train_encode.encode_frames, []

    def interrupted_at_second(vae, frames):
        encoded.append(len(frames))
        if len(encoded) == 2:
            comfy.model_management.interrupt_current_processing()
        return real(vae, frames)

    for kind, key in (("speech", keys.speech), ("text", keys.text)):
        shutil.copy(folder / f"{kind}_{key}.safetensors", tmp_path)
    monkeypatch.setattr(train_encode, "encode_frames", interrupted_at_second)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        fill_cache([row], encoder_files, SampleCache(tmp_path), nothing)
    assert len(encoded) < 4  # of six
    assert kinds_of(tmp_path) == ["speech", "text"]
    assert [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not None] == []
    assert fill_cache([row], encoder_files, SampleCache(tmp_path), nothing) == [keys]
    assert kinds_of(tmp_path) == ["latents", "speech", "text"]


def test_nothing_is_made_twice(filled_cache, encoder_files, monkeypatch):
    folder, row, keys = filled_cache
    before = files_of(folder)

    def load(_name):
        raise AssertionError("an encoder was loaded")

    for name in ("load_vae", "load_text_encoder", "load_audio_encoder"):
        monkeypatch.setattr(train_encode, name, load)
    assert fill_cache([row], encoder_files, SampleCache(folder), nothing) == [keys]
    assert files_of(folder) == before


def test_only_what_changed_is_made_again(filled_cache, encoder_files, train_table, tmp_path):
    folder, row, _ = filled_cache
    own = tmp_path / "cache"
    shutil.copytree(folder, own)
    before = {path.name for path in own.iterdir()}
    told = replace(row, row=replace(row.row, prompt="Another one."))
    fill_cache([told], encoder_files, SampleCache(own), nothing)
    new = {path.name for path in own.iterdir()} - before
    assert [name.split("_")[0] for name in new] == ["text"]

    picture = train_table.with_name("other.png")
    shutil.copy(row.row.product_image, picture)
    picture.write_bytes(row.row.person_image.read_bytes())
    before |= new
    shown = replace(row, row=replace(row.row, product_image=picture))
    fill_cache([shown], encoder_files, SampleCache(own), nothing)
    assert [name.split("_")[0] for name in {path.name for path in own.iterdir()} - before] == ["latents"]


def test_a_damaged_part_is_made_again(filled_cache, encoder_files, tmp_path):
    folder, row, keys = filled_cache
    own = tmp_path / "cache"
    shutil.copytree(folder, own)
    part = own / f"text_{keys.text}.safetensors"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    fill_cache([row], encoder_files, SampleCache(own), nothing)
    assert part.read_bytes() == whole


def test_what_was_finished_before_a_cut_is_kept(filled_cache, encoder_files, tmp_path, monkeypatch):
    folder, row, keys = filled_cache
    for kind, key in (("speech", keys.speech), ("latents", keys.latents)):
        shutil.copy(folder / f"{kind}_{key}.safetensors", tmp_path)
    rows = [row, replace(row, row=replace(row.row, number=3, prompt="Another one."))]
    texts = []
    real = train_encode.encode_texts

    def cut_at_second(clip, checked):
        texts.append(checked.row.number)
        if len(texts) == 2:
            raise KeyboardInterrupt
        return real(clip, checked)

    monkeypatch.setattr(train_encode, "encode_texts", cut_at_second)
    with pytest.raises(KeyboardInterrupt):
        fill_cache(rows, encoder_files, SampleCache(tmp_path), nothing)
    assert kinds_of(tmp_path) == ["latents", "speech", "text"]
    fill_cache(rows, encoder_files, SampleCache(tmp_path), nothing)
    assert texts == [2, 3, 3]
    assert kinds_of(tmp_path) == ["latents", "speech", "text", "text"]


@pytest.fixture
def wrong_files(encoder_files) -> Iterator[None]:
    """Files that hold something else than their folders say."""
    import folder_paths

    tensors = {"vae": "some.weight", "text_encoders": "decoder.middle.0.residual.0.gamma"}
    paths = [Path(folder_paths.get_folder_paths(kind)[0]) / "wrong.safetensors" for kind in tensors]
    for path, name in zip(paths, tensors.values(), strict=True):
        save_file({name: torch.zeros(2)}, path)
    yield
    for path in paths:
        path.unlink()


@pytest.mark.usefixtures("wrong_files")
def test_files_are_looked_at_before_any_is_loaded(encoder_files):
    check_encoders(encoder_files)
    wrong = "wrong.safetensors"
    for changed, sentence in (
        ({"vae": "no.safetensors"}, "vae no.safetensors is not in models/vae; put wan_2.1_vae.safetensors there and"),
        ({"audio_encoder": "x.pt"}, "audio_encoder x.pt is not in models/audio_encoders; put wav2vec2-large-xlsr-53"),
        ({"vae": wrong}, "vae wrong.safetensors holds no model this pack knows, but a VAE was expected; choose wan_2"),
        ({"text_encoder": wrong}, "text_encoder wrong.safetensors holds a VAE, but a text encoder was expected; ch"),
    ):
        with pytest.raises(ModelFileError) as caught:
            check_encoders(replace(encoder_files, **changed))
        assert str(caught.value).startswith(sentence)


def test_a_missing_file_is_found_before_the_others_are_used(encoder_files, train_table, tmp_path, monkeypatch):
    def load(_name):
        raise AssertionError("an encoder was loaded")

    monkeypatch.setattr(train_encode, "load_text_encoder", load)
    with pytest.raises(ModelFileError, match=r"vae no\.safetensors is not in models/vae"):
        fill_cache(
            [checked_row(train_table)], replace(encoder_files, vae="no.safetensors"), SampleCache(tmp_path), nothing
        )


def test_no_encoder_stays_behind(filled_cache):
    import comfy.model_management

    assert [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not None] == []
