"""Every row is looked at before anything is loaded: what is wrong with bad ones, to the word."""

from __future__ import annotations

import numpy as np
import pytest

from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table

SIZE = VideoSize(64, 96)


def check(table, size=SIZE):
    return check_table(table, size=size, max_pixels=480 * 832, latents=20)


AGAIN = "but a video is expected; export it again as mp4."
SHAPE = "but the shape of input_video (64x96) is expected"
SIDES = "but the pixels of the video the boxes were drawn on are expected; write both, or leave both empty."

BAD_CELLS = {
    "empty prompt": (
        {"prompt": " "},
        "prompt: the cell is empty, but a description is expected; say what is to be seen.",
    ),
    "empty video": (
        {"input_video": ""},
        "input_video: the cell is empty, but a video is expected; name a file, as seen from the table.",
    ),
    "empty audio": (
        {"audio": ""},
        "audio: the cell is empty, but the sound of the clip is expected; name a file, as seen from the table.",
    ),
    "empty person": (
        {"person_image": ""},
        "person_image: the cell is empty, but a picture is expected; name a file, as seen from the table.",
    ),
    "missing file": (
        {"product_image": "none.png"},
        "product_image: “none.png” is not there, but a picture is expected; correct the name, or put the file there.",
    ),
    "outside": (
        {"input_video": "../clip.mp4"},
        "input_video: “../clip.mp4” lies outside the table's folder, but files inside it are expected; move it there.",
    ),
    "a folder": (
        {"audio": "folder"},
        "audio: “folder” is a folder, but the sound of the clip is expected; name the file in it.",
    ),
    "mixed up cells": (
        {"audio": "A woman in a bright room. " * 20},
        "audio: “A woman in a bright room. A woman in a b…” cannot be the name of a file, but the sound of the clip is "
        "expected; look whether cells are mixed up.",
    ),
    "no video at all": (
        {"input_video": "text.mp4"},
        f"input_video: “text.mp4” cannot be read as a video (Invalid data found when processing input), {AGAIN}",
    ),
    "cut off": (
        {"hoi_video": "cut.mp4"},
        f"hoi_video: “cut.mp4” cannot be read as a video (Invalid data found when processing input), {AGAIN}",
    ),
    "damaged in the middle": (
        {"motion_video": "damaged.mp4"},
        f"motion_video: “damaged.mp4” cannot be read as a video (Invalid data found when processing input), {AGAIN}",
    ),
    "breaks off": (
        {"input_video": "broken.mp4"},
        "input_video: “broken.mp4” breaks off after 80 frames, but whole videos are expected; copy or export it again.",
    ),
    "sound as video": (
        {"pose_video": "speech.wav"},
        f"pose_video: “speech.wav” holds no video, {AGAIN}",
    ),
    "too slow": (
        {"input_video": "slow.mp4"},
        "input_video: “slow.mp4” is tagged 0.5 frames a second, but 1 to 480 are expected; export it again at 25.",
    ),
    "too few frames": (
        {"input_video": "short.mp4"},
        "input_video: it lasts 0.24 s, but at least 0.32 s (8 frames at 25 a second) are expected; use a longer clip.",
    ),
    "a picture as video": (
        {"input_video": "person.png"},
        "input_video: it lasts 0.04 s, but at least 0.32 s (8 frames at 25 a second) are expected; use a longer clip.",
    ),
    "another duration": (
        {"input_video": "off.mp4"},
        "input_video: it lasts 2.00 s by its tag of 30 fps and 2.40 s at 25, but the audio lasts 3.24 s; export it at "
        "25 fps, or cut both to the same length.",
    ),
    "hoi of another duration": (
        {"hoi_video": "short.mp4"},
        "hoi_video: it lasts 0.24 s (6 frames at 25 fps), but input_video lasts 3.24 s (81 frames); export it with a "
        "frame for each of input_video's.",
    ),
    "pose of another duration": (
        {"pose_video": "off.mp4"},
        "pose_video: it lasts 2.00 s (60 frames at 30 fps), but input_video lasts 3.24 s (81 frames); export it with a "
        "frame for each of input_video's.",
    ),
    "pose of another shape": (
        {"pose_video": "wide.mp4"},
        f"pose_video: it is 96x64, {SHAPE}; export both with the same picture.",
    ),
    "short motion": (
        {"motion_video": "short.mp4"},
        "motion_video: it gives 6 frames at 25 a second, but the 73 before the clip are expected; use a longer one, or "
        "leave the cell empty.",
    ),
    "no picture": (
        {"person_image": "text.mp4"},
        "person_image: “text.mp4” cannot be read as a picture, but one is expected; save it again as png.",
    ),
    "cut off picture": (
        {"product_image": "cut.png"},
        "product_image: “cut.png” cannot be read as a picture, but one is expected; save it again as png.",
    ),
    "small picture": (
        {"person_image": "tiny.png"},
        "person_image: person_image is 8x20 pixels, but each side needs at least 16; use a larger picture.",
    ),
    "no sound": (
        {"audio": "clip.mp4"},
        "audio: “clip.mp4” holds no sound, but speech is expected; export it as wav.",
    ),
    "unreadable sound": (
        {"audio": "text.mp4"},
        "audio: “text.mp4” cannot be read as sound (Invalid data found when processing input), but speech is expected; "
        "export it as wav.",
    ),
    "empty sound": (
        {"audio": "empty.wav"},
        "audio: “empty.wav” has no samples, but speech is expected; export it again as wav.",
    ),
    "silence": (
        {"audio": "silent.wav"},
        "audio: audio is silent (its loudest sample is 0.000000 of 1), but speech is expected; check the recording or "
        "the channel.",
    ),
    "nan": (
        {"audio": "nan.wav"},
        "audio: audio holds values that are not numbers (NaN or infinity), but samples from -1 to 1 are expected; "
        "export the recording again.",
    ),
    "a click": (
        {"audio": "click.wav"},
        "audio: audio is 0.100 s long, but at least 0.2 s of speech is expected; use a longer recording.",
    ),
    "short speech": (
        {"audio": "word.wav"},
        "audio: it lasts 0.25 s, but at least 0.32 s (8 frames at 25 a second) are expected; use a longer clip.",
    ),
    "width alone": ({"width": "1080"}, f"width, height: they are “1080” and “”, {SIDES}"),
    "width in words": ({"width": "wide", "height": "96"}, f"width, height: they are “wide” and “96”, {SIDES}"),
    "negative width": ({"width": "-64", "height": "96"}, f"width, height: they are “-64” and “96”, {SIDES}"),
    "width of a galaxy": ({"width": "1e300", "height": "96"}, f"width, height: they are “1e300” and “96”, {SIDES}"),
    "sides swapped": (
        {"width": "96", "height": "64"},
        f"width, height: it is 96x64, {SHAPE}; give the size of the video the boxes were drawn on.",
    ),
    "scale of nothing": (
        {"scale": "0"},
        "scale: it is “0”, but a number from 0.1 to 4 is expected; leave it empty for 1.",
    ),
    "scale nan": (
        {"scale": "nan"},
        "scale: it is “nan”, but a number from 0.1 to 4 is expected; leave it empty for 1.",
    ),
    "scale in words": (
        {"scale": "big"},
        "scale: it is “big”, but a number from 0.1 to 4 is expected; leave it empty for 1.",
    ),
}


@pytest.fixture(scope="module")
def bad_folder(clip_folder):
    """Files with something wrong."""
    clip_folder.video("short.mp4", 6)
    clip_folder.video("slow.mp4", 10, fps=0.5)
    clip_folder.video("off.mp4", 60, fps=30)
    clip_folder.video("wide.mp4", size=(96, 64))
    clip_folder.video("small.mp4", size=(32, 48))
    clip_folder.cut("cut.mp4", "clip.mp4", 0.5)
    clip_folder.damage("damaged.mp4", "clip.mp4")
    clip_folder.video("whole.mp4", index_first=True)
    clip_folder.cut("broken.mp4", "whole.mp4", 0.999)
    clip_folder.picture("tiny.png", (8, 20))
    clip_folder.picture("large.png", (256, 256))
    clip_folder.cut("cut.png", "large.png", 0.6)
    (clip_folder.path / "text.mp4").write_text("no video at all\n" * 40)
    (clip_folder.path / "folder").mkdir()
    clip_folder.sound("empty.wav", np.zeros(0))
    clip_folder.sound("silent.wav", np.zeros(25920))
    clip_folder.sound("nan.wav", np.full(25920, np.nan))
    clip_folder.sound("click.wav", 0.1)
    clip_folder.sound("word.wav", 0.25)
    return clip_folder


@pytest.mark.parametrize(("cells", "sentence"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_bad_rows(bad_folder, cells, sentence):
    preflight = check(bad_folder.table(bad_folder.row(), bad_folder.row(**cells)))
    assert [problem.sentence() for problem in preflight.problems] == [f"row 3, {sentence}"]
    assert [checked.row.number for checked in preflight.rows] == [2]


def test_a_video_too_small_for_its_own_size(bad_folder):
    preflight = check(bad_folder.table(bad_folder.row(input_video="small.mp4")), None)
    assert [problem.sentence() for problem in preflight.problems] == [
        "row 2, input_video: it is 32x48, which comes to 32x48, but each side needs at least 64 pixels; use a larger "
        "video."
    ]


def test_everything_wrong_with_a_table_is_listed_at_once(bad_folder):
    preflight = check(
        bad_folder.table(
            bad_folder.row(
                prompt="", scale="big", audio="silent.wav", person_image="tiny.png", face="{", pose_video="x"
            ),
            bad_folder.row(),
            bad_folder.row(audio="click.wav"),
        )
    )
    assert [(problem.row, problem.column) for problem in preflight.problems] == [
        (2, "prompt"), (2, "audio"), (2, "person_image"), (2, "pose_video"), (2, "face"), (2, "scale"), (4, "audio"),
    ]  # fmt: skip
    lines = preflight.report.split("\n")
    assert lines[0] == "1 of 3 rows can be used."
    assert lines[1:8] == [problem.sentence() for problem in preflight.problems]
    assert lines[8:] == ["row 3: no boxes: the router learns nothing from this row."]


def test_bad_rows_are_refused_or_skipped(bad_folder):
    preflight = check(bad_folder.table(bad_folder.row(), bad_folder.row(audio="none.wav")))
    assert [checked.row.number for checked in preflight.accepted(skip_bad=True)] == [2]
    with pytest.raises(InputError) as refusal:
        preflight.accepted(skip_bad=False)
    assert str(refusal.value) == (
        "1 of 2 rows have problems, but all must be good; correct them, or set bad_rows to skip:\n"
        "row 3, audio: “none.wav” is not there, but the sound of the clip is expected; correct the name, or put the "
        "file there."
    )


def test_a_table_without_a_good_row_is_refused_either_way(bad_folder):
    preflight = check(bad_folder.table(bad_folder.row(audio="none.wav")))
    with pytest.raises(InputError, match=r"^No row of the table can be used; correct at least one:\nrow 2, audio: "):
        preflight.accepted(skip_bad=True)
    with pytest.raises(InputError, match=r"^1 of 1 rows have problems, but all must be good; "):
        preflight.accepted(skip_bad=False)


def test_rows_with_too_many_cells_are_among_the_problems(bad_folder):
    path = bad_folder.table(bad_folder.row())
    with path.open("a", encoding="utf-8") as file:
        file.write("Hello, there,clip.mp4,,speech.wav,person.png,,,,,,,,1\n")
    preflight = check(path)
    assert [problem.row for problem in preflight.problems] == [3]
    assert len(preflight.rows) == 1
