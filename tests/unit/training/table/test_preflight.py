"""Every row is looked at before anything is loaded: what is decided of good ones."""

from __future__ import annotations

import json

import numpy as np

from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table
from cointeract_pack.tests.unit.media.media_files import clip

SIZE = VideoSize(64, 96)
FACE = json.dumps({"frame_2": [10, 10, 30, 40], "frame_78": [10, 10, 30, 40]})
HANDS = json.dumps({"frame_6": {"l_h": [40, 60, 60, 90], "r_h": []}})


def check(table, size=SIZE, latents=20, max_pixels=480 * 832, **others):
    return check_table(table, size=size, max_pixels=max_pixels, latents=latents, **others)


def only(preflight):
    """The one row of a table, which must be good."""
    assert preflight.problems == ()
    (row,) = preflight.rows
    return row


def test_the_published_row_trains_as_it_is(samples):
    row = only(check(samples / "train" / "data.csv", VideoSize(480, 832)))
    assert (row.latents, row.size, row.row.source) == (20, VideoSize(480, 832), VideoSize(1080, 1920))
    assert row.plan.target == row.plan.hoi == row.plan.pose == tuple(range(80))
    assert row.plan.motion == tuple(range(73))
    assert row.notes == (
        "input_video is tagged 24 fps, but its 81 frames last as long as the audio (3.24 s) at 25: taken frame by "
        "frame.",
        "hoi_video has 81 frames at 25 fps beside 81 of input_video: taken frame by frame with it.",
        "pose_video has 81 frames at 25 fps beside 81 of input_video: taken frame by frame with it.",
        "motion_video is tagged 24 fps, but taken frame by frame like input_video, which has the same tag.",
    )
    face, hand = (mask.view(20, 52, 30).flatten(1).any(dim=1) for mask in (row.token_masks.face, row.token_masks.hand))
    assert face.all()
    assert hand.all()


def test_a_row_needs_four_cells_only(clip_folder):
    row = only(check(clip_folder.table(clip_folder.row())))
    assert (row.latents, row.size, row.token_masks) == (20, SIZE, None)
    assert row.plan.motion is row.plan.hoi is row.plan.pose is None
    assert row.notes == ("no boxes: the router learns nothing from this row.",)


def test_a_full_row(clip_folder):
    cells = {
        "product_image": "product.png", "motion_video": "motion.mp4", "hoi_video": "hoi.mp4", "pose_video": "pose.mp4",
        "face": FACE, "hand_object": HANDS, "width": "64", "height": "96", "scale": "0.5",
    }  # fmt: skip
    row = only(check(clip_folder.table(clip_folder.row(**cells))))
    assert row.notes == ()
    assert row.row.product_scale == 0.5
    assert row.plan.hoi == row.plan.pose == row.plan.target == tuple(range(80))
    face, hand = (mask.view(20, 6, 4) for mask in (row.token_masks.face, row.token_masks.hand))
    assert face.nonzero()[:, 0].unique().tolist() == [0, 19]
    assert hand.nonzero().tolist() == [[1, y, x] for y in (3, 4, 5) for x in (2, 3)]


def test_boxes_that_count_latents_mark_the_same_tokens(clip_folder):
    face = json.dumps({"frame_0": [10, 10, 30, 40], "frame_19": [10, 10, 30, 40]})
    hands = json.dumps({"frame_1": {"l_h": [40, 60, 60, 90], "r_h": []}})
    rows = [clip_folder.row(face=FACE, hand_object=HANDS), clip_folder.row(face=face, hand_object=hands)]
    preflight = check(clip_folder.table(*rows))
    of_frames, of_latents = preflight.rows
    assert of_latents.token_masks.face.equal(of_frames.token_masks.face)
    assert of_latents.token_masks.hand.equal(of_frames.token_masks.hand)
    assert of_frames.notes == ()
    assert of_latents.notes == ("the keys of the boxes count latents, not frames: read as such.",)
    # also where only the beginning of the clip is wanted
    assert check(clip_folder.table(rows[1]), latents=5).rows[0].token_masks.face.view(5, 24).any(dim=1).tolist() == [
        True, False, False, False, False,
    ]  # fmt: skip


def test_boxes_of_resampled_footage_are_those_of_its_own_frames(clip_folder):
    clip_folder.video("thirty.mp4", 97, 30)
    face = json.dumps({"frame_94": [10, 10, 30, 40]})
    row = only(check(clip_folder.table(clip_folder.row(input_video="thirty.mp4", face=face, hand_object="{}"))))
    assert row.plan.resampled
    assert row.token_masks.face.view(20, 24).any(dim=1).nonzero().tolist() == [[19]]  # 94 / 30 s is frame 78.3 at 25
    assert row.notes == (
        "input_video runs at 30 fps for the 3.24 s of the audio: resampled by time.",
        "the keys of the boxes are frames of input_video, which is resampled: each latent takes the nearest boxes.",
        "hand_object marks nothing in the picture: the router learns that no hand is to be seen.",
    )


def test_rows_of_other_lengths_and_shapes(clip_folder):
    clip_folder.video("half.mp4", 41, size=(160, 96))
    clip_folder.video("long.mp4", 140, size=(96, 96))
    clip_folder.sound("long.wav", 5.6)
    table = clip_folder.table(
        clip_folder.row(),
        clip_folder.row(input_video="half.mp4"),
        clip_folder.row(input_video="long.mp4", audio="long.wav"),
    )
    rows = check(table, None, latents=30, max_pixels=96 * 80).rows
    assert [(row.size, row.latents) for row in rows] == [
        (VideoSize(64, 96), 20),
        (VideoSize(112, 64), 10),
        (VideoSize(80, 80), 30),
    ]
    assert rows[1].notes[:2] == (
        "audio lasts 3.24 s and input_video 1.64 s: both are used from the beginning.",
        "input_video and audio give 10 of 30 latents (40 frames): a shorter clip.",
    )


def test_what_happens_to_the_picture_is_said(clip_folder):
    row = only(check(clip_folder.table(clip_folder.row(face=FACE)), VideoSize(128, 128)))
    assert row.notes == (
        "input_video is 64x96 and is enlarged to 128x128: it will look soft.",
        "33% of the picture is cut off to bring 64x96 to the shape of 128x128.",
        "hand_object is empty: the router learns that no hand is to be seen.",
    )
    gone = json.dumps({"frame_2": [0, 0, 64, 5], "frame_90": [0, 0, 64, 5]})
    row = only(check(clip_folder.table(clip_folder.row(face=gone, hand_object=HANDS)), VideoSize(128, 128)))
    assert row.notes[-2:] == (
        "face: frame_90 not used: no frames of the clip's 20 latents.",
        "face marks nothing in the picture: the router learns that no face is to be seen.",
    )


def test_progress_is_told(clip_folder):
    told = []
    table = clip_folder.table(clip_folder.row(), clip_folder.row(audio="none.wav"))
    check(table, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_what_files_say_is_noted(clip_folder):
    """A phone's clip: frames at uneven times, and sound of the same file that starts late."""
    times = [*(n / 12 for n in range(18)), *(1.5 + n / 50 for n in range(88))]
    sound = np.full((1, 8000 * 3), 0.2, np.float32) * np.sin(np.arange(8000 * 3) / 3)
    clip(clip_folder.path / "phone.mkv", times, sound.astype(np.float32), sound_from=0.3)
    row = only(check(clip_folder.table(clip_folder.row(input_video="phone.mkv", audio="phone.mkv"))))
    assert row.latents == 20
    assert row.notes[:2] == (
        "audio: the sound starts 0.30 s after the picture: silence stands in front of it.",
        "input_video has no steady rate (32.41 fps in the mean): each frame is taken by its own time stamp.",
    )
    assert max(abs(times[index] - place / 25) for place, index in enumerate(row.plan.target)) <= 0.045
