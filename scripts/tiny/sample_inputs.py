"""Write sample inputs, all drawn or synthesised here: person, product, speech, pose video and a training table.

    PYTHONPATH=scripts python scripts/tiny/sample_inputs.py INPUT [--samples DIR]

With --samples, a folder of one's own takes their place: pictures called person* and product*, a *.wav and, if there is
one, a pose*.mp4, in the folder itself or in folders called demo and pose (the layout of the published samples), and a
training table as train/data.csv.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

from tiny import sample_training
from tiny.drawn import FPS, RATE, SECONDS, SIZE, Canvas, draw_person, draw_product, in_colours, speech, tag_colours

if TYPE_CHECKING:
    import numpy

PERSON, PRODUCT = "cointeract_person.png", "cointeract_product.png"
SPEECH, POSE = "cointeract_speech.wav", "cointeract_pose.mp4"
TRAINING, TABLE = "cointeract_train", "data.csv"  # a folder with a training table
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def write_speech(path: Path) -> None:
    """Write the speech as 16-bit mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((speech() * 32767).astype("<i2").tobytes())


def pose_frame(number: int) -> numpy.ndarray:
    """A stick figure on black that moves its arms and nods, `[H, W, 3]`."""
    import numpy as np

    swing = 2 * math.pi * number / FPS / 2.0  # a movement takes two seconds
    c = Canvas((0, 0, 0), (0, 0, 0), finer=1)
    nose = (240 + 6 * math.sin(swing), 290 + 5 * math.cos(2 * swing))
    neck, hip = (240, 440), (240, 800)
    c.limb([neck, hip], 10, "#0055ff")
    c.limb([neck, nose], 10, "#5500ff")
    for side, colours in ((-1, ("#ff5500", "#ffaa00", "#ffff00")), (1, ("#aaff00", "#55ff00", "#00ff55"))):
        lift = 55 * (1 + math.sin(swing + side)) / 2
        shoulder, elbow = (240 + side * 108, 470), (240 + side * 140, 640 - lift / 2)
        wrist = (240 + side * (50 + lift / 3), 720 - 2 * lift)
        for ends, colour in zip(((neck, shoulder), (shoulder, elbow), (elbow, wrist)), colours, strict=True):
            c.limb(list(ends), 10, colour)
        c.limb([nose, (nose[0] + side * 30, nose[1] - 22)], 6, "#aa00ff")
        for finger in range(5):
            angle = math.radians(-90 + side * (finger - 2) * 22)
            c.limb([wrist, (wrist[0] + 34 * math.cos(angle), wrist[1] + 34 * math.sin(angle))], 3, "#00aaff")
    return np.asarray(c.finished())


def write_pose(path: Path) -> None:
    """Write the pose video."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        tag_colours(stream)
        for number in range(round(SECONDS * FPS)):
            file.mux(stream.encode(in_colours(av.VideoFrame.from_ndarray(pose_frame(number), format="rgb24"))))
        file.mux(stream.encode())


def find_samples(folder: Path) -> dict[str, Path]:
    """The inputs of a folder, under the names they get; without a pose video it is left out.

    Raises:
        ValueError: a person, a product or a speech is missing.
    """
    wanted = {
        PERSON: ("person", PICTURES, "demo"),
        PRODUCT: ("product", PICTURES, "demo"),
        SPEECH: ("", (".wav",), "demo"),
        POSE: ("pose", (".mp4",), "pose"),
    }
    found = {}
    for name, (start, endings, inner) in wanted.items():
        places = sorted(folder.glob("*")) + sorted((folder / inner).glob("*"))
        fitting = (path for path in places if path.name.startswith(start) and path.suffix.lower() in endings)
        path = next(fitting, None)
        if path is not None:
            found[name] = path
        elif name != POSE:
            raise ValueError(f"{folder} holds no {start or 'speech'} file: put a {start}*{endings[0]} there.")
    return found


def main(arguments: list[str]) -> None:
    """Write all inputs."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=Path)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    given = find_samples(options.samples) if options.samples else {}
    for name, make in ((PERSON, draw_person), (PRODUCT, draw_product), (SPEECH, write_speech), (POSE, write_pose)):
        path = options.folder / name
        if name not in given:
            make(path)
        elif path.suffix == ".png":
            Image.open(given[name]).save(path)  # whatever format it had
        else:
            shutil.copyfile(given[name], path)
    table = options.folder / TRAINING
    shutil.rmtree(table, ignore_errors=True)
    if options.samples and (options.samples / "train" / TABLE).is_file():
        shutil.copytree(options.samples / "train", table)
    else:
        sample_training.write(table)


if __name__ == "__main__":
    main(sys.argv[1:])
