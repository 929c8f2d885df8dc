"""Small real videos, sounds and pictures to make training rows of."""

from __future__ import annotations

import csv
import itertools
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

RATE = 8000
CLIP_SECONDS = 3.24
NUMBERS = itertools.count()
COLUMNS = (
    "prompt", "input_video", "motion_video", "audio", "person_image", "product_image", "hoi_video", "pose_video",
    "face", "hand_object", "height", "width", "scale",
)  # fmt: skip


class ClipFolder:
    """A folder of small files and the tables that name them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def video(
        self,
        name: str,
        frames: int = 81,
        fps: float = 25,
        size: tuple[int, int] = (64, 96),
        times: Sequence[int] | None = None,
        index_first: bool = False,
    ) -> Path:
        """A video whose frames say their number by their brightness, and left from right by being darker there.

        Args:
            times: of the frames, in frames; evenly spaced if None.
            index_first: so that a file that breaks off can still be opened.
        """
        path = self.path / name
        width, height = size
        with av.open(str(path), "w", options={"movflags": "+faststart"} if index_first else {}) as out:
            stream = out.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": "4", "preset": "ultrafast"}
            for number in range(frames):
                picture = np.full((height, width, 3), level_of(number), dtype=np.uint8)
                picture[:, : width // 4] //= 2
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = number if times is None else times[number]
                frame.time_base = 1 / Fraction(fps).limit_denominator(1001)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    def sound(self, name: str, samples: np.ndarray | float = CLIP_SECONDS) -> Path:
        """A wav of these samples, 32-bit float, or of a tone of so many seconds."""
        if isinstance(samples, int | float):
            samples = 0.3 * np.sin(np.arange(round(samples * RATE)) * (440 * 2 * np.pi / RATE))
        data = np.asarray(samples, dtype="<f4").tobytes()
        form = struct.pack("<HHIIHH", 3, 1, RATE, RATE * 4, 4, 32)
        chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
        path = self.path / name
        path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
        return path

    def picture(self, name: str, size: tuple[int, int] = (48, 64)) -> Path:
        """A plain picture."""
        path = self.path / name
        Image.new("RGB", size, (90, 140, 200)).save(path)
        return path

    def cut(self, name: str, source: str, share: float) -> Path:
        """The beginning of another file."""
        data = (self.path / source).read_bytes()
        path = self.path / name
        path.write_bytes(data[: int(len(data) * share)])
        return path

    def damage(self, name: str, source: str) -> Path:
        """Another video with pictures that cannot be decoded in the middle."""
        data = bytearray((self.path / source).read_bytes())
        start = data.index(b"mdat") + 4
        middle = start + (int.from_bytes(data[start - 8 : start - 4], "big") - 8) // 2
        data[middle : middle + 800] = bytes(800)
        path = self.path / name
        path.write_bytes(data)
        return path

    def row(self, **cells: str) -> dict[str, str]:
        """Cells of a row that is good, but for these."""
        return {
            "prompt": "A person waves.", "input_video": "clip.mp4", "audio": "speech.wav", "person_image": "person.png",
            **cells,
        }  # fmt: skip

    def table(self, *rows: Mapping[str, str], columns: Sequence[str] = COLUMNS) -> Path:
        """A table of these rows."""
        path = self.path / f"table{next(NUMBERS)}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return path


def level_of(number: int) -> int:
    """Brightness of a frame."""
    return min(20 + 2 * number, 255)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> ClipFolder:
    """A folder with the files of one good row, for tests to add to."""
    folder = ClipFolder(tmp_path_factory.mktemp("clips of rows"))
    for name in ("clip.mp4", "hoi.mp4", "pose.mp4"):
        folder.video(name)
    folder.video("motion.mp4", 73)
    folder.sound("speech.wav")
    folder.picture("person.png")
    folder.picture("product.png")
    return folder
