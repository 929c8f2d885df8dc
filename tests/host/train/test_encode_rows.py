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
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.conditioning.images import check_image, fit_person
from cointeract_pack.cointeract_core.conditioning.speech import clip_window
from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host.files.load_encoders import (
    EncoderFiles,
    check_encoders,
    load_audio_encoder,
    load_text_encoder,
    load_vae,
)
from cointeract_pack.cointeract_core.host.train import encode_rows as train_encode
from cointeract_pack.cointeract_core.host.train.encode_rows import encode_pictures, fill_cache
from cointeract_pack.cointeract_core.host.video.encode import encode_frames, encode_text
from cointeract_pack.cointeract_core.host.video.make_parts import make_pose, make_product, make_prompts, make_speech
from cointeract_pack.cointeract_core.media.picture import read_picture
from cointeract_pack.cointeract_core.media.sound import read_audio
from cointeract_pack.cointeract_core.media.video import probe_video, read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.step.cache import SampleCache
from cointeract_pack.cointeract_core.training.table.preflight import check_table

FILES = EncoderFiles("wan_2.1_vae_tiny.safetensors", "umt5_xxl_tiny.pt", "wav2vec2_large_xlsr53_chinese_tiny.pt")
FOLDERS = ("vae", "text_encoders", "audio_encoders")
LATENTS = 3


@pytest.fixture(scope="module")
def encoders(base_directory: Path, repo: Path) -> Iterator[EncoderFiles]:
    """The tiny encoder files in the host's folders, and the sizes of the text encoder known to the host."""
    import comfy.sd
    import folder_paths

    before = comfy.sd.load_clip
    spec = importlib.util.spec_from_file_location(
        "tiny_host_config", repo / "scripts/tiny/tiny_host_config/__init__.py"
    )
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


def kinds_of(folder):
    return sorted(path.name.split("_")[0] for path in folder.iterdir())


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


def test_samples_can_be_trained_on_inside_of_a_node(filled):
    folder, row, keys = filled
    with torch.inference_mode(), torch.inference_mode(False):  # as in a run
        sample = SampleCache(folder).load(row, keys)
        weight = torch.ones((), requires_grad=True)
        (sample.alone * weight + sample.prompts.main.mean() * weight + sample.audio.mean() * weight).sum().backward()
    assert weight.grad is not None


def first_changed(one, two):
    """The first latent that differs."""
    return next(index for index in range(one.shape[2]) if not torch.equal(one[:, :, index], two[:, :, index]))


def test_target_latents_hold_frames_4k_to_4k_plus_3_in_both_modes(encoders, table):
    """A frame changes its own target latent and none before it, with motion frames in front and without."""
    row = checked_row(table)
    row = replace(row, row=replace(row.row, product_image=None))
    with torch.inference_mode():
        vae = load_vae(encoders.vae)
        before = encode_pictures(vae, row)
        for frame in (3, 4, 7, 8):
            videos = {
                name: (*times[:frame], times[frame] + 40, *times[frame + 1 :])
                for name, times in (("target", row.plan.target), ("hoi", row.plan.hoi), ("pose", row.plan.pose))
            }
            after = encode_pictures(vae, replace(row, plan=replace(row.plan, **videos)))
            for name in ("alone", "hoi", "pose"):
                assert first_changed(before[name], after[name]) == frame // 4, (name, frame)
            assert first_changed(before["joint"], after["joint"]) == 19 + frame // 4
            assert torch.equal(before["person"], after["person"])


def test_the_person_stands_in_front_only_without_motion_frames(encoders, table):
    row = checked_row(table)
    other = replace(row, row=replace(row.row, person_image=row.row.product_image))
    with torch.inference_mode():
        vae = load_vae(encoders.vae)
        before, after = encode_pictures(vae, row), encode_pictures(vae, other)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"person", "alone"}


def test_texts_are_those_of_generating(filled, encoders):
    folder, row, keys = filled
    sample = SampleCache(folder).load(row, keys)
    prompt = row.row.prompt
    prefix = (
        "a rendered video on a black background showing a 3D human body mesh interacting with an object. The scene "
        "features the human body represented as a polygonal mesh with visible surface geometry, alongside a 3D "
        "object. Following is the RGB description:"
    )
    with torch.inference_mode():
        clip = load_text_encoder(encoders.text_encoder)
        prompts = make_prompts(clip, [prompt], "")
        hoi, hoi_empty = encode_text(clip, prefix + prompt), encode_text(clip, prefix)
    wanted = {"main": prompts.positive[0], "empty": prompts.negative, "hoi": hoi, "hoi_empty": hoi_empty}
    for name, conditioning in wanted.items():
        ((embedding, _),) = conditioning
        assert torch.equal(getattr(sample.prompts, name), embedding.float()), name
    assert sample.prompts.main.shape[1] == 512  # the encoder itself fills up with zeros
    assert not sample.prompts.main[:, -1].any()


def test_speech_is_that_of_generating(filled, encoders):
    folder, row, keys = filled
    waveform, rate = read_audio(row.row.audio)
    with torch.inference_mode():
        encoder = load_audio_encoder(encoders.audio_encoder)
        speech, _ = make_speech(encoder, {"waveform": waveform, "sample_rate": rate}, 0, False)
    heard = clip_window(speech.features, 0)[..., : 4 * LATENTS]
    assert torch.equal(SampleCache(folder).load(row, keys).audio, heard)


def test_pictures_and_pose_are_those_of_generating(filled, encoders):
    """All but the person, who fills the frame here as in the video, and is stretched there."""
    folder, row, keys = filled
    sample = SampleCache(folder).load(row, keys)
    pose = probe_video(row.row.pose_video)
    waveform, rate = read_audio(row.row.audio)
    with torch.inference_mode():
        encoder, vae = load_audio_encoder(encoders.audio_encoder), load_vae(encoders.vae)
        speech, _ = make_speech(encoder, {"waveform": waveform, "sample_rate": rate}, 1, False)
        frames = read_frames(pose.path, range(pose.frames), pose.size)
        made, _ = make_pose(vae, frames, pose.fps, speech, row.size)
        picture = read_picture(row.row.product_image, "product_image")[None]
        how = {"fit": "pad", "padding": 1.25, "background": "black", "scale": 1.0}
        product, _ = make_product(vae, picture, None, row.size, **how)
        person = check_image(read_picture(row.row.person_image, "person_image")[None], "image")
        cut = encode_frames(vae, fit_person(person, row.size, "crop"))
    assert torch.equal(sample.pose, made.clips[0][:, :, :LATENTS])
    assert torch.equal(sample.product, product.latent)
    assert torch.equal(sample.person, cut)


def test_the_published_row(encoders, samples, tmp_path):
    table = samples / "train" / "data.csv"
    if not table.is_file():
        pytest.skip("The published training row is not beside this checkout (../shared/samples/train).")
    found = check_table(table, size=VideoSize(64, 96), max_pixels=1, latents=20)
    assert not found.problems, found.report
    cache = SampleCache(tmp_path)
    (row,) = found.rows
    sample = cache.load(row, *fill_cache(found.rows, encoders, cache, nothing))
    assert row.latents == 20
    assert sample.joint.shape == (1, 16, 39, 12, 8)
    assert sample.alone.shape == sample.hoi.shape == sample.pose.shape == (1, 16, 20, 12, 8)
    assert sample.audio.shape == (1, 25, 1024, 80)
    assert sample.audio[..., 40:].std() > 0
    assert sample.product is not None
    assert sample.masks.face.any()
    assert sample.masks.hand.any()


def test_rows_that_share_a_part_make_it_once(filled, encoders, tmp_path):
    """The user reads which row is in hand, in the table's order."""
    folder, row, keys = filled
    shutil.copy(folder / f"speech_{keys.speech}.safetensors", tmp_path)
    rows = [replace(row, row=replace(row.row, number=number)) for number in (2, 3, 5)]
    rows[1] = replace(rows[1], row=replace(rows[1].row, prompt="Another one."))
    told = []
    found = fill_cache(rows, encoders, SampleCache(tmp_path), lambda *said: told.append(said))
    assert told == [
        (0, 2, "row 2 (1 of 2): prompts"),
        (1, 2, "row 3 (2 of 2): prompts"),
        (0, 1, "row 2 (1 of 1): pictures and videos"),
    ]
    assert found == [keys, replace(keys, text=found[1].text), keys]
    assert kinds_of(tmp_path) == ["latents", "speech", "text", "text"]


def test_interrupt_stops_within_a_row(filled, encoders, tmp_path, monkeypatch):
    import comfy.model_management

    folder, row, keys = filled
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
        fill_cache([row], encoders, SampleCache(tmp_path), nothing)
    assert len(encoded) < 4  # of six
    assert kinds_of(tmp_path) == ["speech", "text"]
    assert [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not None] == []
    assert fill_cache([row], encoders, SampleCache(tmp_path), nothing) == [keys]
    assert kinds_of(tmp_path) == ["latents", "speech", "text"]


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
    assert kinds_of(tmp_path) == ["latents", "speech", "text"]
    fill_cache(rows, encoders, SampleCache(tmp_path), nothing)
    assert texts == [2, 3, 3]
    assert kinds_of(tmp_path) == ["latents", "speech", "text", "text"]


@pytest.fixture
def wrong_files(encoders) -> Iterator[None]:
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
def test_files_are_looked_at_before_any_is_loaded(encoders):
    check_encoders(encoders)
    wrong = "wrong.safetensors"
    for changed, sentence in (
        ({"vae": "no.safetensors"}, "vae no.safetensors is not in models/vae; put wan_2.1_vae.safetensors there and"),
        ({"audio_encoder": "x.pt"}, "audio_encoder x.pt is not in models/audio_encoders; put wav2vec2-large-xlsr-53"),
        ({"vae": wrong}, "vae wrong.safetensors holds no model this pack knows, but a VAE was expected; choose wan_2"),
        ({"text_encoder": wrong}, "text_encoder wrong.safetensors holds a VAE, but a text encoder was expected; ch"),
    ):
        with pytest.raises(ModelFileError) as caught:
            check_encoders(replace(encoders, **changed))
        assert str(caught.value).startswith(sentence)


def test_a_missing_file_is_found_before_the_others_are_used(encoders, table, tmp_path, monkeypatch):
    def load(_name):
        raise AssertionError("an encoder was loaded")

    monkeypatch.setattr(train_encode, "load_text_encoder", load)
    with pytest.raises(ModelFileError, match=r"vae no\.safetensors is not in models/vae"):
        fill_cache([checked_row(table)], replace(encoders, vae="no.safetensors"), SampleCache(tmp_path), nothing)


def test_no_encoder_stays_behind(filled):
    import comfy.model_management

    assert [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not None] == []
    assert "tiny_host_config" not in sys.modules
