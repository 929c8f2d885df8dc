"""Colours of videos: read as a player shows them, written as they are tagged."""

from __future__ import annotations

import re
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from cointeract_pack.cointeract_core.clips.writer import ClipWriter
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.media.colour import read_colours
from cointeract_pack.cointeract_core.media.video import probe_video, read_frames
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.tests.unit.media.media_files import (
    COLOURS,
    HLG,
    MATRIX_601,
    MATRIX_709,
    MATRIX_2020,
    P3,
    PQ,
    stripes,
    stripes_of,
)

CODED = [[part / 255 for part in colour] for colour in COLOURS]
SEEN = np.array(COLOURS)
PERCENT = 2.55


def shown(path):
    footage = probe_video(path)
    return stripes_of(read_frames(path, [1], footage.size)[0].mul(255).numpy())


@pytest.mark.parametrize(
    "tags",
    [
        {"matrix": MATRIX_709},
        {"matrix": MATRIX_709, "full": 1},
        {"matrix": MATRIX_601, "primaries": 6, "transfer": 6},
        {"matrix": MATRIX_601, "primaries": 6, "transfer": 6, "full": 1},
        {"matrix": 5, "primaries": 5, "transfer": 6},
        {"matrix": 7, "primaries": 7, "transfer": 7},
        {"matrix": MATRIX_709, "bits": 10},
        {"matrix": MATRIX_709, "bits": 10, "full": 1},
        {"matrix": MATRIX_709, "transfer": 13},
        {"matrix": MATRIX_2020},
    ],
    ids=str,
)
def test_matrix_range_and_bits_are_followed(tmp_path, tags):
    assert np.abs(shown(stripes(tmp_path / "c.mp4", CODED, **tags)) - SEEN).max() <= 3


def test_a_video_that_says_nothing_is_read_as_browsers_do(tmp_path):
    """BT.601 below 720 lines, BT.709 from there on: then a file in BT.601 shows green as (0, 173, 57)."""
    small = shown(stripes(tmp_path / "small.mp4", CODED))
    assert np.abs(small - SEEN).max() <= 3
    tall = shown(stripes(tmp_path / "tall.mp4", CODED, size=(320, 800)))
    assert np.abs(tall[1] - (0, 173, 57)).max() <= 3
    assert np.abs(tall[0] - (238, 41, 31)).max() <= 3


def linear(colours):
    return np.array(colours) ** 2.4


def hlg_code(nits):
    """HLG signal of display light on 1000 cd/m² (ITU-R BT.2100)."""
    light = np.asarray(nits) / 1000
    luma = light @ np.array([0.2627, 0.6780, 0.0593])
    scene = light * (np.maximum(luma, 1e-9) ** (1 / 1.2 - 1))[..., None]
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def pq_code(nits):
    """PQ signal of light (SMPTE ST 2084)."""
    power = (np.asarray(nits) / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # ITU-R BT.2087
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])  # SMPTE EG 432


def assert_alike(seen):
    """Within 2 %; next to black, where 10 bits are coarse, within 0.3 % of the light."""
    code, light = np.abs(seen - SEEN), np.abs(linear(seen / 255) - linear(SEEN / 255))
    assert np.where(SEEN > 15, code <= 2 * PERCENT, light <= 0.003).all()


@pytest.mark.parametrize("high", [HLG, PQ])
def test_high_dynamic_range_is_converted(tmp_path, high):
    """SDR colours put into HLG and PQ with white at 203 cd/m² (ITU-R BT.2408) come back within 2 %."""
    nits = linear(CODED) @ TO_2020.T * 203
    code = hlg_code(nits) if high == HLG else pq_code(nits)
    path = stripes(tmp_path / "h.mp4", code, matrix=MATRIX_2020, primaries=9, transfer=high, bits=10)
    assert_alike(shown(path))
    name = "HLG" if high == HLG else "PQ"
    assert probe_video(path).notes == (f"its colours are {name} BT.2020: converted to BT.709 SDR.",)


@pytest.mark.parametrize("high", [HLG, PQ])
def test_lights_are_rolled_off_and_keep_their_order(tmp_path, high):
    nits = np.array([[level] * 3 for level in (100, 203, 400, 700, 1000)], dtype=float)
    code = hlg_code(nits) if high == HLG else pq_code(nits)
    seen = shown(stripes(tmp_path / "h.mp4", code, matrix=MATRIX_2020, primaries=9, transfer=high, bits=10))[:, 1]
    assert (np.diff(seen) >= 0).all()
    assert seen[0] == pytest.approx(255 * (100 / 203) ** (1 / 2.4), abs=PERCENT)
    assert seen[1] > 0.97 * 255
    assert seen[4] >= 254


@pytest.mark.parametrize(("primaries", "matrix"), [(9, TO_2020), (P3, TO_P3)])
def test_wide_colours_are_converted(tmp_path, primaries, matrix):
    code = (linear(CODED) @ matrix.T) ** (1 / 2.4)
    tags = {"matrix": MATRIX_2020 if primaries == 9 else MATRIX_709, "bits": 10}
    path = stripes(tmp_path / "w.mp4", code, primaries=primaries, transfer=14 if primaries == 9 else 1, **tags)
    assert_alike(shown(path))


def test_a_phones_video_has_its_contrast(faults):
    """Taken as SDR it is grey, with a contrast of 42; the row it was made of has 64."""
    path = faults / "hlg_video" / "input.mp4"
    frame = read_frames(path, [10], probe_video(path).size)[0].mul(255).numpy()
    plain = read_frames(faults / "late_sound" / "clip.mp4", [10], VideoSize(480, 832))[0].mul(255).numpy()
    assert frame.std() == pytest.approx(plain.std(), rel=0.06)
    assert frame.mean() == pytest.approx(plain.mean(), rel=0.03)


def test_colours_nobody_can_convert_are_named(tmp_path):
    path = tmp_path / "linear.mp4"
    stripes(path, CODED, matrix=MATRIX_709, transfer=8)
    with pytest.raises(InputError) as refusal:
        probe_video(path)
    assert str(refusal.value) == (
        "“linear.mp4” has colours in linear light, but BT.601, BT.709 or BT.2020, with HLG and PQ, can be read; export "
        "it again as SDR BT.709."
    )


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"colorspace": 8}, "YCgCo"),
        ({"colorspace": 14}, "ICtCp"),
        ({"colorspace": 15}, "IPT (Dolby Vision profile 5)"),
        ({"colorspace": 12}, "matrix 12"),
        ({"color_trc": 9}, "logarithmic light"),
        ({"color_trc": 17}, "SMPTE ST 428 light"),
        ({"color_primaries": 10}, "XYZ"),
    ],
)
def test_each_of_them_is_named(tags, named):
    frame = SimpleNamespace(format=SimpleNamespace(name="yuv420p", is_rgb=False), height=1080, **tags)
    with pytest.raises(InputError, match=re.escape(f"has colours in {named}, but")):
        read_colours("it", frame, SimpleNamespace())


@pytest.mark.parametrize("high", [HLG, PQ])
def test_high_dynamic_range_without_primaries_is_bt2020(high):
    frame = SimpleNamespace(format=SimpleNamespace(name="yuv420p10le", is_rgb=False), height=1080, color_trc=high)
    found = read_colours("it", frame, SimpleNamespace())
    assert (found.matrix, found.primaries, found.full) == ("bt2020", 9, False)


def written(tmp_path):
    frames = torch.zeros(6, 400, 320, 3)
    for number, colour in enumerate(COLOURS):
        frames[:, number * 80 : number * 80 + 80] = torch.tensor(colour) / 255
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", torch.full((1, 1, 16000), 0.01), 16000)
    for _ in range(2):
        writer.add(frames)
    return writer.path


def test_what_is_written_says_its_colours(tmp_path):
    path = written(tmp_path)
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        assert [context.colorspace, context.color_range, context.color_trc, context.color_primaries] == [1, 1, 1, 1]
        frames = list(file.decode(video=0))
    assert len(frames) == 12
    assert all((int(frame.colorspace), int(frame.color_range)) == (1, 1) for frame in frames)


def test_what_is_written_is_what_it_says(tmp_path):
    """Decoded by the textbook's BT.709 in limited range, not by our own reader."""
    with av.open(str(written(tmp_path))) as file:
        for frame in file.decode(video=0):
            planes = frame.to_ndarray(format="yuv444p").astype(float)
            luma, blue, red = (stripes_of(plane[..., None])[:, 0] for plane in planes)
            y, cb, cr = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
            r, b = y + 1.5748 * cr, y + 1.8556 * cb
            g = (y - 0.2126 * r - 0.0722 * b) / 0.7152
            assert np.abs(np.stack([r, g, b], axis=1) * 255 - SEEN).max() <= 3
