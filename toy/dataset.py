"""Write clips of the world as a folder that the node Training Data reads.

    python -m toy.dataset FOLDER --scenes 100 [--part training] [--first SEED] [--frames 80] [--clips 1]

`FOLDER/table.csv` names everything. A finished clip is never made again, so the same command goes on where it was
stopped; another `--first` adds to the folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from .files import write_picture, write_sound, write_text, write_video
from .held_out import PARTS, TRAINING, Part
from .world.palette import HEIGHT, VERSION, WIDTH
from .world.render import frames, hoi_frames, person_picture, product_picture, training_boxes
from .world.scene import Scene
from .world.voice import samples

TABLE, SETTINGS, CLIPS = "table.csv", "settings.json", "clips"
CELLS = "row.json"  # of a clip: its row of the table
COLUMNS = (
    "prompt", "input_video", "motion_video", "audio", "person_image", "product_image", "hoi_video", "face",
    "hand_object", "height", "width",
)  # fmt: skip
MOTION = 73  # frames that stand before a clip
LONGEST, STEP = 80, 4  # frames of a clip, and of a latent
SHORTEST = 2 * STEP


@dataclass(frozen=True, slots=True)
class Settings:
    """How clips are cut; a folder has one kind.

    Attributes:
        frames: of a clip.
        motion, hoi: whether a clip comes with the frames before it, and with its HOI structure.
        version: of the drawing.
        voices: seed of the scene whose voice the first one has, and so on; None where each has its own. Speech that is
            known is not encoded again.
    """

    part: str = TRAINING
    frames: int = LONGEST
    motion: bool = True
    hoi: bool = True
    version: int = VERSION
    voices: int | None = None

    def __post_init__(self) -> None:
        if not SHORTEST <= self.frames <= LONGEST or self.frames % STEP:
            wanted = f"a multiple of {STEP} from {SHORTEST} to {LONGEST}"
            raise ValueError(f"frames is {self.frames}, but {wanted} is expected; choose one.")


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip to be written.

    Attributes:
        name: of its folder.
        first: frame of the scene it begins with.
    """

    name: str
    scene: Scene
    first: int


def clips_of(part: Part, settings: Settings, scenes: int, per_scene: int, first: int | None = None) -> Iterator[Clip]:
    """Clips of so many scenes; those of one scene follow each other without a gap.

    Args:
        first: seed to begin with; the part's own if None.
    """
    speakers = part.scenes(first if settings.voices is None else settings.voices)
    for scene, speaker in islice(zip(part.scenes(first), speakers, strict=False), scenes):
        for number in range(per_scene):
            begin = MOTION + number * settings.frames
            yield Clip(f"{scene.seed:07d}_{begin:04d}", replace(scene, seed=speaker.seed), begin)


def open_folder(folder: Path, settings: Settings) -> None:
    """Make the folder, or see that what is in it was cut alike.

    Raises:
        ValueError: it was not.
    """
    (folder / CLIPS).mkdir(parents=True, exist_ok=True)
    path, wanted = folder / SETTINGS, asdict(settings)
    if not path.is_file():
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    there = json.loads(path.read_text(encoding="utf-8"))
    if there != wanted:
        raise ValueError(f"{folder} holds clips of {there}, but {wanted} is asked for; choose another folder.")


def write_clip(folder: Path, clip: Clip, settings: Settings) -> bool:
    """Write a clip unless it is there; whether it had to be made.

    Its folder is filled under another name and renamed, so that a clip is there wholly or not at all.
    """
    place = folder / CLIPS / clip.name
    if place.is_dir():
        return False
    beside = place.with_name(f".{clip.name}.part")
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    beside.mkdir()
    scene, first, count = clip.scene, clip.first, settings.frames
    write_video(beside / "input.mp4", frames(scene, first, count))
    if settings.motion:
        write_video(beside / "motion.mp4", frames(scene, first - MOTION, MOTION))
    if settings.hoi:
        write_video(beside / "hoi.mp4", hoi_frames(scene, first, count))
    write_sound(beside / "voice.wav", samples(scene.seed, first, count))
    write_picture(beside / "person.png", person_picture(scene))
    write_picture(beside / "product.png", product_picture(scene))
    write_text(beside / CELLS, json.dumps(_cells(clip, settings), indent=1) + "\n")
    beside.rename(place)
    return True


def write_table(folder: Path) -> int:
    """Write the table of every finished clip in the folder; how many there are."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / CLIPS).glob(f"[0-9]*/{CELLS}"))]
    path = folder / TABLE
    beside = path.with_name(f".{TABLE}.part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    beside.replace(path)
    return len(rows)


def _cells(clip: Clip, settings: Settings) -> dict[str, str | int]:
    """The row of a clip, its paths as seen from the table."""
    where = f"{CLIPS}/{clip.name}"
    face, hands = training_boxes(clip.scene, clip.first, settings.frames)
    return {
        "prompt": clip.scene.prompt,
        "input_video": f"{where}/input.mp4",
        "motion_video": f"{where}/motion.mp4" if settings.motion else "",
        "audio": f"{where}/voice.wav",
        "person_image": f"{where}/person.png",
        "product_image": f"{where}/product.png",
        "hoi_video": f"{where}/hoi.mp4" if settings.hoi else "",
        "face": json.dumps(face),
        "hand_object": json.dumps(hands),
        "height": HEIGHT,
        "width": WIDTH,
    }


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m toy.dataset", description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, required=True, help="how many")
    parser.add_argument("--part", choices=sorted(PARTS), default=TRAINING, help="which scenes, see toy/held_out.py")
    parser.add_argument("--first", type=int, metavar="SEED", help="seed to begin with; the part's first by default")
    parser.add_argument("--frames", type=int, default=LONGEST, help="of a clip, a multiple of 4 up to 80")
    parser.add_argument("--clips", type=int, default=1, help="of each scene, one after the other")
    parser.add_argument("--voices", type=int, metavar="SEED", help="with the voices of the scenes from this seed on")
    parser.add_argument("--no-motion", action="store_true", help="leave the 73 frames before each clip out")
    parser.add_argument("--no-hoi", action="store_true", help="leave the HOI structure out")
    options = parser.parse_args(arguments)
    made = done = 0
    try:
        settings = Settings(
            options.part, options.frames, not options.no_motion, not options.no_hoi, voices=options.voices
        )
        clips = list(clips_of(PARTS[options.part], settings, options.scenes, options.clips, options.first))
        open_folder(options.folder, settings)
        try:
            for done, clip in enumerate(clips, 1):
                made += write_clip(options.folder, clip, settings)
                sys.stderr.write(f"\r{done} of {len(clips)} clips, {made} of them made")
        finally:
            sys.stderr.write("\n")
            rows = write_table(options.folder)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{options.folder / TABLE} has {rows} rows.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
