"""Rows encoded with the host's real loaders on tiny files: what each latent holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.images import check_image, fit_person
from cointeract_pack.cointeract_core.conditioning.speech import clip_window
from cointeract_pack.cointeract_core.host.files.load_encoders import (
    load_audio_encoder,
    load_text_encoder,
    load_vae,
)
from cointeract_pack.cointeract_core.host.train.encode_rows import encode_pictures, fill_cache
from cointeract_pack.cointeract_core.host.video.encode import encode_frames, encode_text
from cointeract_pack.cointeract_core.host.video.make_parts import make_pose, make_product, make_prompts, make_speech
from cointeract_pack.cointeract_core.media.picture import read_picture
from cointeract_pack.cointeract_core.media.sound import read_audio
from cointeract_pack.cointeract_core.media.video import probe_video, read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.step.cache import SampleCache
from cointeract_pack.cointeract_core.training.table.preflight import check_table
from cointeract_pack.tests.host.train.encoding import LATENTS, checked_row, nothing


def test_a_row_has_every_part_in_its_form(filled_cache):
    folder, row, keys = filled_cache
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
    assert len(sample.token_masks.face) == LATENTS * 24
    assert sample.token_masks.face.any()


def test_samples_can_be_trained_on_inside_of_a_node(filled_cache):
    folder, row, keys = filled_cache
    with torch.inference_mode(), torch.inference_mode(False):  # as in a run
        sample = SampleCache(folder).load(row, keys)
        weight = torch.ones((), requires_grad=True)
        (sample.alone * weight + sample.prompts.main.mean() * weight + sample.audio.mean() * weight).sum().backward()
    assert weight.grad is not None


def first_changed(one, two):
    """The first latent that differs."""
    return next(index for index in range(one.shape[2]) if not torch.equal(one[:, :, index], two[:, :, index]))


def test_target_latents_hold_frames_4k_to_4k_plus_3_in_both_modes(encoder_files, train_table):
    """A frame changes its own target latent and none before it, with motion frames in front and without."""
    row = checked_row(train_table)
    row = replace(row, row=replace(row.row, product_image=None))
    with torch.inference_mode():
        vae = load_vae(encoder_files.vae)
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


def test_the_person_stands_in_front_only_without_motion_frames(encoder_files, train_table):
    row = checked_row(train_table)
    other = replace(row, row=replace(row.row, person_image=row.row.product_image))
    with torch.inference_mode():
        vae = load_vae(encoder_files.vae)
        before, after = encode_pictures(vae, row), encode_pictures(vae, other)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"person", "alone"}


def test_texts_are_those_of_generating(filled_cache, encoder_files):
    folder, row, keys = filled_cache
    sample = SampleCache(folder).load(row, keys)
    prompt = row.row.prompt
    prefix = (
        "a rendered video on a black background showing a 3D human body mesh interacting with an object. The scene "
        "features the human body represented as a polygonal mesh with visible surface geometry, alongside a 3D "
        "object. Following is the RGB description:"
    )
    with torch.inference_mode():
        clip = load_text_encoder(encoder_files.text_encoder)
        prompts = make_prompts(clip, [prompt], "")
        hoi, hoi_empty = encode_text(clip, prefix + prompt), encode_text(clip, prefix)
    wanted = {"main": prompts.positive[0], "empty": prompts.negative, "hoi": hoi, "hoi_empty": hoi_empty}
    for name, conditioning in wanted.items():
        ((embedding, _),) = conditioning
        assert torch.equal(sample.prompts.whole(name), embedding.float()), name
        assert getattr(sample.prompts, name)[:, -1].any() or not embedding.any()
    assert sample.prompts.whole("main").shape[1] == 512  # the encoder itself fills up with zeros
    assert sample.prompts.main.shape[1] < 100


def test_speech_is_that_of_generating(filled_cache, encoder_files):
    folder, row, keys = filled_cache
    waveform, rate = read_audio(row.row.audio)
    with torch.inference_mode():
        encoder = load_audio_encoder(encoder_files.audio_encoder)
        speech, _ = make_speech(encoder, {"waveform": waveform, "sample_rate": rate}, 0, False)
    heard = clip_window(speech.features, 0)[..., : 4 * LATENTS]
    assert torch.equal(SampleCache(folder).load(row, keys).audio, heard)


def test_pictures_and_pose_are_those_of_generating(filled_cache, encoder_files):
    """All but the person, who fills the frame here as in the video, and is stretched there."""
    folder, row, keys = filled_cache
    sample = SampleCache(folder).load(row, keys)
    pose = probe_video(row.row.pose_video)
    waveform, rate = read_audio(row.row.audio)
    with torch.inference_mode():
        encoder, vae = load_audio_encoder(encoder_files.audio_encoder), load_vae(encoder_files.vae)
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


def test_the_published_row(encoder_files, samples, tmp_path):
    table = samples / "train" / "data.csv"
    if not table.is_file():
        pytest.skip("The published training row is not beside this checkout (../shared/samples/train).")
    found = check_table(table, size=VideoSize(64, 96), max_pixels=1, latents=20)
    assert not found.problems, found.report
    cache = SampleCache(tmp_path)
    (row,) = found.rows
    sample = cache.load(row, *fill_cache(found.rows, encoder_files, cache, nothing))
    assert row.latents == 20
    assert sample.joint.shape == (1, 16, 39, 12, 8)
    assert sample.alone.shape == sample.hoi.shape == sample.pose.shape == (1, 16, 20, 12, 8)
    assert sample.audio.shape == (1, 25, 1024, 80)
    assert sample.audio[..., 40:].std() > 0
    assert sample.product is not None
    assert sample.token_masks.face.any()
    assert sample.token_masks.hand.any()
