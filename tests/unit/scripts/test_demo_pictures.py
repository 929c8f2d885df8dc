"""What the demo draws and measures: two videos side by side, the picture of the README, the shape of a product."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import probe_video
import pytest
from demos import measure_toy, side_by_side, toy_clip, toy_picture
from PIL import Image

HEIGHT, WIDTH = 128, 96
RATE = 16000


@pytest.fixture
def world(repo: Path, monkeypatch):
    """The drawn world, importable as the demo's programs import it."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(repo)])
    from toy.held_out import PARTS

    return PARTS


def plain(level: int, count: int = 4) -> np.ndarray:
    return np.full((count, HEIGHT, WIDTH, 3), level, np.uint8)


def test_two_videos_stand_beside_the_product():
    made = side_by_side.pages(plain(40, 3), plain(200, 5), plain(120)[0])
    assert len(made) == 3
    page = made[0]
    assert page.shape[:2] == side_by_side.page_size(HEIGHT, WIDTH, 3)[::-1]
    assert all(side % 2 == 0 for side in page.shape[:2])  # what the codec takes
    middle = side_by_side.HEAD + HEIGHT * side_by_side.SCALE // 2
    across = side_by_side.MARGIN + WIDTH * side_by_side.SCALE
    seen = [int(page[middle, across * column + across // 2, 0]) for column in range(3)]
    assert seen == [120, 40, 200]
    assert (page[: side_by_side.HEAD] == side_by_side.INK).all(axis=-1).any()  # the heads


def test_the_sound_comes_along(tmp_path: Path):
    path = tmp_path / "both.mp4"
    tone = 0.4 * np.sin(np.arange(RATE) * 0.2).astype(np.float32)
    pages = [picture for level in range(25) for picture in plain(8 * level, 1)]
    side_by_side.write(path, pages, tone, RATE)
    found = probe_video.probe(path)
    assert (found["frames"], found["silent"], found["audio"]["rate"]) == (25, False, RATE)
    assert found["audio"]["seconds"] == pytest.approx(1.0, abs=0.1)
    pictures = toy_clip.read_pictures(path)
    assert np.abs(pictures.mean(axis=(1, 2, 3)) - 8 * np.arange(25)).max() < 3
    sound, rate = toy_clip.read_sound(path)
    assert (rate, np.abs(sound).max()) == (RATE, pytest.approx(0.4, abs=0.1))


def test_loud_and_quiet_frames_are_shown_in_turn():
    sound = np.concatenate([np.full(640, level, np.float32) for level in (0.1, 0.5, 0.2, 0.4, 0.0, 0.3)])
    loud = toy_picture.loudness_of(sound, RATE, 6)
    assert loud == pytest.approx([0.2, 1.0, 0.4, 0.8, 0.0, 0.6])
    assert toy_picture.chosen_frames(loud, 2) == [1, 4]
    assert toy_picture.chosen_frames(loud, 3) == [1, 2, 5]


def test_the_picture_of_the_readme(tmp_path: Path):
    paths = [tmp_path / name for name in ("video.mp4", "person.png", "product.png", "page.png")]
    tone = 0.4 * np.sin(np.arange(RATE) * 0.2).astype(np.float32)
    side_by_side.write(paths[0], [*np.concatenate([plain(level, 1) for level in range(0, 250, 10)])], tone, RATE)
    for path, level in zip(paths[1:3], (90, 160), strict=True):
        Image.fromarray(plain(level)[0]).save(path)
    toy_picture.main([*map(str, paths), "a presenter"])
    with Image.open(paths[3]) as page:
        layout = toy_picture.Layout(WIDTH * toy_picture.SCALE, HEIGHT * toy_picture.SCALE)
        assert page.size == layout.size
        seen = page.convert("RGB").getpixel((toy_picture.MARGIN + layout.width // 2, toy_picture.HEAD + 100))
        assert seen == pytest.approx((90, 90, 90), abs=6)


def test_the_shape_of_a_product_is_told(world):
    from toy.world.render import frames

    (scene,) = world["lesson"].take(1)
    other = replace(scene, product=replace(scene.product, shape="can"))
    shown = np.concatenate([frames(scene, 200, 2), frames(other, 200, 2), plain(250, 1)])
    assert measure_toy.nearest_shapes(scene, shown) == ["heart", "heart", "can", "can", None]


def test_a_render_is_measured_as_what_it_is(world):
    from toy.world.render import frames

    (scene,) = world["test"].take(1)
    found = measure_toy.numbers_of(scene, frames(scene, 73, 16), 73)
    assert (found["product"], found["held"], found["shape"]) == (1.0, 1.0, 1.0)
    assert found["mouth"] > 0.9
