"""Rows encoded with the host's real loaders on tiny files: what each latent holds, and what is made again."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host import train_encode
from cointeract_pack.cointeract_core.host.encoders import EncoderFiles, check_encoders
from cointeract_pack.cointeract_core.host.train_encode import encode_pictures, fill_cache
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.cache import SampleCache
from cointeract_pack.cointeract_core.training.preflight import check_table

FILES = EncoderFiles("wan_2.1_vae_tiny.safetensors", "umt5_xxl_tiny.pt", "wav2vec2_large_xlsr53_chinese_tiny.pt")
FOLDERS = ("vae", "text_encoders", "audio_encoders")
LATENTS = 3


@pytest.fixture(scope="module")
def encoders(base_directory: Path, repo: Path) -> Iterator[EncoderFiles]:
    """The tiny encoder files in the host's folders, and the sizes of the text encoder known to the host."""
    import comfy.sd
    import folder_paths

    before = comfy.sd.load_clip
    spec = importlib.util.spec_from_file_location("tiny_host_config", repo / "scripts/tiny_host_config/__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    copies = []
    for folder in FOLDERS:
        place = Path(folder_paths.get_folder_paths(folder)[0])
        place.mkdir(parents=True, exist_ok=True)
        for file in (base_directory / "models" / folder).iterdir():
            copies.append(Path(shutil.copy(file, place)))
    yield FILES
    comfy.sd.load_clip = before
    for copy in copies:
        copy.unlink()


@pytest.fixture(scope="module")
def table(base_directory: Path, tmp_path_factory) -> Path:
    """A folder of its own with the project's training row."""
    folder = tmp_path_factory.mktemp("rows") / "train"
    shutil.copytree(base_directory / "input" / "cointeract_train", folder)
    return folder / "data.csv"


def checked_row(table, latents=LATENTS):
    found = check_table(table, size=VideoSize(64, 96), max_pixels=1, latents=latents)
    assert not found.problems, found.report
    return found.rows[0]


def nothing(*_):
    """No progress."""


def files_of(folder):
    return {path.name.split("_")[0]: (path.name, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def filled(encoders, table, tmp_path_factory):
    """A filled cache with its row and keys."""
    folder = tmp_path_factory.mktemp("cache")
    row = checked_row(table)
    keys = fill_cache([row], encoders, SampleCache(folder), nothing)
    return folder, row, keys[0]


def test_a_row_has_every_part_in_its_form(filled):
    folder, row, keys = filled
    with torch.inference_mode():  # as in a node
        sample = SampleCache(folder).load(row, keys)
    assert sample.joint.shape == (1, 16, 19 + LATENTS, 12, 8)
    for latents in (sample.alone, sample.hoi, sample.pose):
        assert latents.shape == (1, 16, LATENTS, 12, 8)
    assert sample.person.shape == sample.product.shape == (1, 16, 1, 12, 8)
    assert sample.audio.shape == (1, 25, 1024, 4 * LATENTS)
    assert sample.audio.std() > 0
    texts = [sample.prompts.main, sample.prompts.empty, sample.prompts.hoi, sample.prompts.hoi_empty]
    assert all(text.shape[0] == 1 and text.shape[2] == 4096 for text in texts)
    assert len({text.sum().item() for text in texts}) == 4
    assert len(sample.masks.face) == LATENTS * 24
    assert sample.masks.face.any()


def test_samples_can_be_trained_on(filled):
    folder, row, keys = filled
    sample = SampleCache(folder).load(row, keys)
    weight = torch.ones((), requires_grad=True)
    (sample.alone * weight).sum().backward()
    assert weight.grad is not None


def test_target_latents_hold_frames_4k_to_4k_plus_3_in_both_modes(encoders, table):
    """Changing frames 8 to 11 changes target latent 2 and none before it, with motion frames in front and without."""
    from cointeract_pack.cointeract_core.host.encoders import load_vae

    with torch.inference_mode():
        vae = load_vae(encoders.vae)
        row = checked_row(table)
        moved = replace(row.plan, target=(*row.plan.target[:8], *(frame + 40 for frame in row.plan.target[8:])))
        shifted = {"hoi": row.plan.hoi, "pose": row.plan.pose}
        moved = replace(
            moved, **{name: (*times[:8], *(time + 40 for time in times[8:])) for name, times in shifted.items()}
        )
        one, two = encode_pictures(vae, row), encode_pictures(vae, replace(row, plan=moved))
    for name in ("alone", "hoi", "pose"):
        assert torch.equal(one[name][:, :, :2], two[name][:, :, :2]), name
        assert not torch.equal(one[name][:, :, 2], two[name][:, :, 2]), name
    assert torch.equal(one["joint"][:, :, :21], two["joint"][:, :, :21])
    assert not torch.equal(one["joint"][:, :, 21], two["joint"][:, :, 21])


def test_nothing_is_made_twice(filled, encoders, monkeypatch):
    folder, row, keys = filled
    before = files_of(folder)

    def load(_name):
        raise AssertionError("an encoder was loaded")

    for name in ("load_vae", "load_text_encoder", "load_audio_encoder"):
        monkeypatch.setattr(train_encode, name, load)
    assert fill_cache([row], encoders, SampleCache(folder), nothing) == [keys]
    assert files_of(folder) == before


def test_only_what_changed_is_made_again(filled, encoders, table, tmp_path):
    folder, row, _ = filled
    own = tmp_path / "cache"
    shutil.copytree(folder, own)
    before = {path.name for path in own.iterdir()}
    told = replace(row, row=replace(row.row, prompt="Another one."))
    fill_cache([told], encoders, SampleCache(own), nothing)
    new = {path.name for path in own.iterdir()} - before
    assert [name.split("_")[0] for name in new] == ["text"]

    picture = table.with_name("other.png")
    shutil.copy(row.row.product_image, picture)
    picture.write_bytes(row.row.person_image.read_bytes())
    before |= new
    shown = replace(row, row=replace(row.row, product_image=picture))
    fill_cache([shown], encoders, SampleCache(own), nothing)
    assert [name.split("_")[0] for name in {path.name for path in own.iterdir()} - before] == ["latents"]


def test_a_damaged_part_is_made_again(filled, encoders, tmp_path):
    folder, row, keys = filled
    own = tmp_path / "cache"
    shutil.copytree(folder, own)
    part = own / f"text_{keys.text}.safetensors"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    fill_cache([row], encoders, SampleCache(own), nothing)
    assert part.read_bytes() == whole


def test_what_was_finished_before_a_cut_is_kept(filled, encoders, tmp_path, monkeypatch):
    folder, row, keys = filled
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
        fill_cache(rows, encoders, SampleCache(tmp_path), nothing)
    kinds = sorted(path.name.split("_")[0] for path in tmp_path.iterdir())
    assert kinds == ["latents", "speech", "text"]
    fill_cache(rows, encoders, SampleCache(tmp_path), nothing)
    assert texts == [2, 3, 3]
    assert sorted(path.name.split("_")[0] for path in tmp_path.iterdir()) == ["latents", "speech", "text", "text"]


def test_files_are_looked_at_before_any_is_loaded(encoders):
    check_encoders(encoders)
    for changed, sentence in (
        ({"vae": "no.safetensors"}, "vae no.safetensors is not in models/vae; put wan_2.1_vae.safetensors there and"),
        ({"audio_encoder": "x.pt"}, "audio_encoder x.pt is not in models/audio_encoders; put wav2vec2-large-xlsr-53"),
    ):
        with pytest.raises(ModelFileError) as caught:
            check_encoders(replace(encoders, **changed))
        assert str(caught.value).startswith(sentence)


def test_no_encoder_stays_behind(filled):
    import comfy.model_management

    assert [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not None] == []
    assert "tiny_host_config" not in sys.modules
