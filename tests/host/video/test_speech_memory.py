"""A long speech through the encoder: the same features, without all hidden states there twice."""

from __future__ import annotations

import weakref

import pytest
import torch

from cointeract_pack.cointeract_core.conditioning.speech import features_at_25fps
from cointeract_pack.cointeract_core.host.video import encode

STATES = 333


class Encoder:
    """Answers as the host's, and knows which of its layers are still there."""

    def __init__(self, layers=25, width=1024):
        generator = torch.Generator().manual_seed(0)
        self.states = torch.randn(layers, STATES, width, generator=generator)
        self.alive = []

    def encode_audio(self, _audio, _rate):
        layers = tuple(layer.clone()[None] for layer in self.states)
        self.alive = [weakref.ref(layer.untyped_storage()) for layer in layers]
        return {"encoded_audio": layers[-1], "encoded_audio_all_layers": layers}

    def left(self):
        return sum(layer() is not None for layer in self.alive)


@pytest.mark.parametrize("frames", [None, 80, 166])
def test_features_are_those_of_all_layers_together(frames):
    encoder = Encoder()
    found = encode.encode_speech(encoder, torch.zeros(16000), frames)
    assert torch.equal(found, features_at_25fps(encoder.states, frames))
    assert found.is_contiguous()  # and no longer than what is kept


def test_each_layer_goes_as_soon_as_it_is_read(monkeypatch):
    encoder, seen = Encoder(), []

    def read(states, frames):
        seen.append(encoder.left())
        return features_at_25fps(states, frames)

    monkeypatch.setattr(encode, "features_at_25fps", read)
    encode.encode_speech(encoder, torch.zeros(16000), 80)
    assert seen == list(range(25, 0, -1))
    assert encoder.left() == 0


def test_half_precision_of_the_encoder_is_kept():
    """On a GPU the encoder answers in float16: kept so, features take half the memory and differ by its rounding."""
    encoder = Encoder()
    exact = encode.encode_speech(encoder, torch.zeros(16000), 80)
    encoder.states = encoder.states.half()
    found = encode.encode_speech(encoder, torch.zeros(16000), 80)
    assert (found.dtype, exact.dtype) == (torch.float16, torch.float32)
    torch.testing.assert_close(found.float(), exact, rtol=2**-10, atol=2**-10)
