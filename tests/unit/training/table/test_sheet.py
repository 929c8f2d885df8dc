"""The contact sheet of a row, looked at through its pixels."""

from __future__ import annotations

import json

import pytest
import torch

from cointeract_pack.cointeract_core.drawing.canvas import Canvas
from cointeract_pack.cointeract_core.drawing.palette import FACE, HAND, PAPER
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table
from cointeract_pack.cointeract_core.training.table.sheet import contact_sheet

SMALL = VideoSize(64, 96)
FULL = {
    "product_image": "product.png", "motion_video": "motion.mp4", "hoi_video": "hoi.mp4", "pose_video": "pose.mp4",
    "face": json.dumps({f"frame_{4 * k + 2}": [18, 10, 40, 40] for k in range(20)}),
    "hand_object": json.dumps({f"frame_{4 * k + 2}": {"l_h": [30, 60, 50, 80], "r_h": []} for k in range(20)}),
}  # fmt: skip


def sheet(folder, size=SMALL, latents=20, **cells):
    preflight = check_table(folder.table(folder.row(**cells)), size=size, max_pixels=480 * 832, latents=latents)
    assert preflight.problems == ()
    picture = contact_sheet(preflight.rows[0])
    assert picture.shape[0] == 1
    assert picture.shape[-1] == 3
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.dtype == torch.float32
    return (picture[0] * 255).round().to(torch.int16)


def count(picture, colour) -> int:
    return int((picture - torch.tensor(colour, dtype=torch.int16)).abs().amax(dim=-1).le(24).sum())


def test_boxes_and_tokens_are_drawn_where_there_are_some(clip_folder):
    marked, plain = sheet(clip_folder, **FULL), sheet(clip_folder)
    assert count(marked, FACE) > 400
    assert count(marked, HAND) > 400
    assert count(plain, FACE) == count(plain, HAND) == 0


def test_the_sheet_grows_with_what_the_row_has(clip_folder):
    """A line for each of clip, HOI and pose; the references stand beside them."""
    alone = sheet(clip_folder)
    with_hoi = sheet(clip_folder, hoi_video="hoi.mp4")
    full = sheet(clip_folder, **FULL)
    line = with_hoi.shape[0] - alone.shape[0]
    assert line > 300
    assert full.shape[0] - with_hoi.shape[0] > line - 40  # and other notes
    assert full.shape[1] == with_hoi.shape[1] == alone.shape[1]
    beside = sheet(clip_folder, product_image="product.png", motion_video="motion.mp4")
    assert beside.shape[1] > alone.shape[1]  # three references for one line


@pytest.mark.parametrize(
    ("size", "latents"), [(VideoSize(96, 64), 20), (VideoSize(64, 64), 3), (VideoSize(64, 256), 2)]
)
def test_any_shape_and_length_fits_the_page(clip_folder, size, latents):
    picture = sheet(clip_folder, size, latents, **FULL)
    assert 1000 < picture.shape[1] < 2400
    paper = torch.tensor(PAPER, dtype=torch.int16)
    rim = torch.cat([picture[:2].flatten(0, 1), picture[-4:].flatten(0, 1), picture[:, :2].flatten(0, 1)])
    assert (rim == paper).all()  # nothing runs over the edge
    assert (picture[:, -6:] == paper).all()


def test_the_speech_is_drawn_as_loud_as_it_is(clip_folder):
    import numpy as np

    tone = 0.3 * np.sin(np.arange(25920) * 0.3)
    clip_folder.sound("late.wav", np.where(np.arange(25920) < 12800, 0.0, tone))  # silent in the first half
    picture = sheet(clip_folder, audio="late.wav")
    blue = (picture[..., 2] > 200) & (picture[..., 0] < 140) & (picture[..., 1] > 150)
    half = picture.shape[1] // 2
    assert int(blue[:, half:].sum()) > 5 * int(blue[:, :half].sum()) > 0


def test_long_text_is_wrapped_and_cut():
    def height(text: str, **how) -> int:
        canvas = Canvas(400)
        canvas.write(text, **how)
        return canvas.y

    one = height("short")
    words, letters = "many words " * 40, "x" * 400
    assert height(words) > 5 * one
    assert height(letters) > 5 * one  # also without a blank
    assert height(words, lines=2) == height(letters, lines=2) < 2 * one + 10
    assert height(words, bullet=True) >= height(words)
    canvas = Canvas(400)
    canvas.write(letters)
    assert (canvas.finished()[0, :, -12:] * 255).round().eq(torch.tensor(PAPER)).all()


@pytest.mark.parametrize("prompt", ["一位女士拿着一件灰色毛衣。", "Señora Müller says “hello” twice\nin two lines"])
def test_prompts_of_other_scripts_do_not_stop_it(clip_folder, prompt):
    assert sheet(clip_folder, prompt=prompt).shape[0] > 400


def test_the_published_row_has_a_sheet(samples):
    preflight = check_table(samples / "train" / "data.csv", size=VideoSize(480, 832), max_pixels=480 * 832, latents=20)
    picture = (contact_sheet(preflight.rows[0])[0] * 255).round().to(torch.int16)
    assert count(picture, FACE) > 400
    assert count(picture, HAND) > 400
