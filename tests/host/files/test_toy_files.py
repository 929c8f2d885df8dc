"""The files of the drawn world's model, read by ComfyUI's own loaders: words, loudness, and a transformer to train."""

from __future__ import annotations

import json
from itertools import islice

import comfy.sd
import comfy.utils
import numpy as np
import pytest
import torch
from comfy.audio_encoders.audio_encoders import load_audio_encoder_from_sd
from safetensors.torch import load_file
from tiny import toy_models

from cointeract_pack.cointeract_core.checkpoint.header import read_headers
from cointeract_pack.cointeract_core.checkpoint.identify import FileKind, identify
from cointeract_pack.cointeract_core.host.video.encode import encode_speech
from cointeract_pack.toy.held_out import PARTS
from cointeract_pack.toy.packing import unpacked
from cointeract_pack.toy.world.render import frames, hoi_frames
from cointeract_pack.toy.world.scene import vocabulary
from cointeract_pack.toy.world.voice import frame_loudness, samples

FRAMES = 32
SPEECH = toy_models.SPEECH
STIFFNESS = 300.0  # of the linear reading, so that it does not learn its few clips by heart


@pytest.fixture(scope="module")
def toy_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy models")
    toy_models.write(folder, vocabulary(), unpacked, [torch.from_numpy(samples(seed, 0, 80)) for seed in (0, 1)])
    return folder


@pytest.fixture
def clip(toy_files):
    """The text encoder, loaded as `tiny_host_config` lets the page's loader do it."""
    path = toy_files / "text_encoders" / toy_models.TEXT
    sizes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    options = {"umt5xxl_model_config": sizes}
    return comfy.sd.load_clip([str(path)], clip_type=comfy.sd.CLIPType.WAN, model_options=options)


def embedded(clip, prompt: str) -> torch.Tensor:
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0][0][0]


def test_every_word_has_a_vector_of_its_own(clip):
    words = vocabulary()
    found = torch.stack([embedded(clip, word)[0] for word in words])
    cosine = torch.nn.functional.cosine_similarity(found[:, None], found[None], dim=-1) - torch.eye(len(words))
    assert cosine.abs().max() < 0.1
    assert found.std(dim=-1).sub(1).abs().max() < 0.05  # as wide as the features of the real one


def test_a_word_means_the_same_anywhere_and_every_prompt_is_known(clip):
    first, later = embedded(clip, "bottle red"), embedded(clip, "a presenter lifts a red bottle")
    assert torch.equal(first[0], later[5])
    assert torch.equal(first[1], later[4])
    for part in PARTS.values():
        for scene in islice(part.scenes(), 4):
            assert (embedded(clip, scene.prompt)[: len(scene.prompt.split())].norm(dim=-1) > 1).all()


def test_an_unknown_word_is_nothing(clip):
    assert torch.equal(embedded(clip, "zebra")[0], torch.zeros(4096))


def test_word_vectors_follow_from_the_word_alone():
    one, other = (toy_models.text_state(words)["shared.weight"] for words in (("can", "heart"), ("ball", "heart")))
    assert torch.equal(one[4], other[4])


def test_loudness_can_be_read_from_the_speech_encoder(toy_files):
    """A linear reading of the middle layer, learnt on some voices, explains most of another's loudness."""
    state = comfy.utils.load_torch_file(str(toy_files / "audio_encoders" / toy_models.SPEECH))
    encoder = load_audio_encoder_from_sd(state)
    seen, loud = [], []
    for seed in (0, 1, 2, 3, 1_000_000):
        sound = torch.from_numpy(samples(seed, 0, FRAMES)).float()
        features = encode_speech(encoder, sound, FRAMES)[12].T.double().numpy()
        seen.append(features)
        loud.append(frame_loudness(seed, 0, len(features)))
    known, new = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    middle, spread = known.mean(0), known.std(0) + 1e-6
    known, new = (known - middle) / spread, (new - middle) / spread
    target = np.concatenate(loud[:4])
    matrix = known.T @ known + STIFFNESS * np.eye(known.shape[1])
    answer = new @ np.linalg.solve(matrix, known.T @ (target - target.mean()))
    assert np.corrcoef(answer, np.concatenate(loud[4:]))[0, 1] > 0.9


def test_the_base_to_train_from_hears_what_changes(toy_files):
    """A fifth of what its first convolution gives of another voice is change; else it would be a fiftieth."""
    encoder = load_audio_encoder_from_sd(comfy.utils.load_torch_file(str(toy_files / "audio_encoders" / SPEECH)))
    heard = encode_speech(encoder, torch.from_numpy(samples(5, 0, FRAMES)).float(), FRAMES)[0][None]
    state = load_file(toy_files / "diffusion_models" / toy_models.BASE)
    weight, bias = (state[f"casual_audio_encoder.encoder.conv1_local.conv.{kind}"] for kind in ("weight", "bias"))
    shares = []
    for offset in (bias, torch.zeros_like(bias)):
        out = torch.nn.functional.conv1d(heard, weight, offset)[0]
        shares.append(float(out.var(dim=1).mean() / out.var()))
    assert shares[0] > 0.15
    assert shares[1] < 0.05
    assert torch.nonzero(state[toy_models.LAYER_WEIGHTS].flatten()).tolist() == [[0]]


def test_pictures_come_through_the_vae(toy_files):
    """Frames and HOI structure of a test scene: 39 dB and more on the whole of them was measured, see toy/README.md."""
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(toy_files / "vae" / toy_models.VAE)))
    (scene,) = PARTS["test"].take(1)
    for drawn in (frames(scene, 0, 9), hoi_frames(scene, 0, 9)):
        shown = torch.from_numpy(drawn).float() / 255
        again = vae.decode(vae.encode(shown)).reshape(shown.shape)
        assert -10 * (again - shown).square().mean().log10() > 37


def test_the_base_to_train_from_is_one_of_ours(toy_files, registered):
    path = toy_files / "diffusion_models" / toy_models.BASE
    assert identify(read_headers([path], "base")).kind is FileKind.BASE
    state = load_file(path)
    assert not state["head.head.weight"].any()
    spread = state["blocks.3.self_attn.q.weight"].std() * toy_models.DIM**0.5
    assert 0.9 < spread < 1.1
