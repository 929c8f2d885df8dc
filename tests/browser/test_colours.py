"""The mp4 we write, drawn by a real browser: the colours that were meant."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright

from cointeract_pack.cointeract_core.clips.writer import ClipWriter

COLOURS = ((220, 20, 30), (0, 200, 60), (0, 80, 200), (224, 172, 140), (227, 154, 87))
WITHIN = 3
SIZE = (480, 832)  # untagged, such a size would be drawn as BT.709
# colours as a graphics card computes them: without one, Chromium's own sums for BT.709 cut a factor of blue at 2
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-color-profile=srgb"]
DRAW = """async source => {
    const video = document.createElement("video");
    video.muted = true;
    document.body.append(video);
    const seen = new Promise((done, failed) => {
        video.onerror = () => failed(new Error(video.error.message));
        video.onseeked = () => done();
    });
    video.onloadeddata = () => { video.currentTime = 0.5; };
    video.src = source;
    await seen;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const pen = canvas.getContext("2d");
    pen.drawImage(video, 0, 0);
    return [0, 1, 2, 3, 4].map(n => [...pen.getImageData(canvas.width / 2, (n + 0.5) * canvas.height / 5, 1, 1).data]);
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_what: object) -> None: ...


@pytest.fixture
def written(tmp_path: Path) -> Iterator[str]:
    """Address of a page's folder with an mp4 of two clips."""
    width, height = SIZE
    frames = torch.zeros(15, height, width, 3)
    for number, colour in enumerate(COLOURS):
        frames[:, number * height // 5 : (number + 1) * height // 5] = torch.tensor(colour) / 255
    writer = ClipWriter(tmp_path / "ad.mp4", tmp_path / "work", torch.full((1, 1, 32000), 0.01), 16000)
    writer.add(frames)
    writer.add(frames)
    (tmp_path / "index.html").write_text("<!doctype html><body></body>", encoding="utf-8")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )  # fmt: skip
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_browser_draws_the_colours_that_were_meant(chrome: Path, written: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chrome), args=ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{written}/index.html")
        drawn = np.array(page.evaluate(DRAW, "ad.mp4"))[:, :3]
        browser.close()
    assert np.abs(drawn - np.array(COLOURS)).max() <= WITHIN, drawn.tolist()
