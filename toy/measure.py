"""Measure a model on scenes it has never seen: videos by `toy.generation`, numbers by `toy.scores`, a table, a sheet.

    python -m toy.measure WORK MODEL [--adapter NAME] [--scenes 32] [--part test] [--clips 2] [--sheet OUT.png]

WORK is the folder of `toy.recipe`; ComfyUI's base directory is WORK/base, and its model files are made if they are not
there. MODEL and NAME are files as ComfyUI lists them, or paths; `toy_model.safetensors` is the one that comes with the
checkout. A finished video is kept in WORK/measured and never made again, so the same command goes on where it was
stopped. Run it with the Python of ComfyUI.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np

from .dataset import MOTION
from .files import write_page, write_text
from .generation import GUIDANCE, ROOT, SEED, SHIFT, SHIPPED, STEPS, WHOLE, Encoders, Generator, open_host
from .held_out import PARTS, TEST, TEST_SCENES
from .packing import unpacked
from .recipe import COMFYUI, MODELS, make_folders
from .scores import Judge, table
from .world.palette import HEIGHT, VERSION, WIDTH, Colour
from .world.render import frame, person_picture, product_picture
from .world.scene import Scene, vocabulary

MEASURED, SETTINGS = "measured", "settings.json"
CLIP = 80  # frames
CLIPS = 2  # of a video, so that it has a join
FOLDERS = {"model": ("diffusion_models",), "adapter": ("loras", "model_patches")}

SHEET_SCENES, SHEET_FRAMES, SHEET_SCALE, GAP, LINE = 6, 7, 2, 4, 18  # the last two in pixels
PAPER: Colour = (255, 255, 255)
INK: Colour = (45, 45, 55)
TEXT_SIZE = 0.42


@dataclass(frozen=True, slots=True)
class Settings:
    """What a kept video was made with; another value, another video.

    Attributes:
        model, adapter: hashes of the files; the second is empty for none.
        latents: of a clip that ends early; 0 for whole clips.
        version: of the drawing.
    """

    model: str
    adapter: str
    clips: int = CLIPS
    latents: int = 0
    steps: int = STEPS
    guidance: float = GUIDANCE
    seed: int = SEED
    shift: float = SHIFT
    version: int = VERSION

    @property
    def frames(self) -> int:
        """Of a video."""
        return self.clips * CLIP if not self.latents else self.latents * CLIP // WHOLE

    @property
    def joins(self) -> tuple[int, ...]:
        """First frames of the clips behind the first."""
        return tuple(range(CLIP, self.frames, CLIP))

    @property
    def stamp(self) -> str:
        """Of all of them."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


class Kept:
    """Videos that are finished, as files without a loss.

    Args:
        folder: below which those of each settings have their own.
        name: the folder's name begins so.
    """

    def __init__(self, folder: Path, name: str, settings: Settings) -> None:
        self.folder = folder / f"{name}_{settings.stamp}"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / SETTINGS, json.dumps(asdict(settings), indent=1) + "\n")

    def has(self, scene: Scene) -> bool:
        """Whether the video of a scene is there."""
        return self._path(scene).is_file()

    def get(self, scene: Scene) -> np.ndarray:
        """The video of a scene, `[T, 128, 96, 3]` uint8."""
        with np.load(self._path(scene), allow_pickle=False) as file:
            return np.asarray(file["pictures"])

    def put(self, scene: Scene, pictures: np.ndarray) -> None:
        """Keep a video; it is there wholly or not at all."""
        path = self._path(scene)
        beside = path.with_name(f".{path.name}.part")
        with beside.open("wb") as file:
            np.savez_compressed(file, pictures=pictures)
        beside.replace(path)

    def _path(self, scene: Scene) -> Path:
        return self.folder / f"{scene.seed:07d}.npz"


def find_file(base: Path, role: str, given: str) -> Path:
    """A model file given as a path, or as ComfyUI lists it.

    Args:
        base: ComfyUI's base directory.
        role: ``model`` or ``adapter``.

    Raises:
        ValueError: there is none.
    """
    places = [Path(given), *(base / "models" / folder / given for folder in FOLDERS[role])]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        where = " or ".join(f"models/{folder}" for folder in FOLDERS[role])
        raise ValueError(f"{role} {given} is no file, and not in {where} of {base}; choose one that is there.")
    return found


def stamp_of(path: Path) -> str:
    """A hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_ready(base: Path) -> bool:
    """Whether the toy's encoders and VAE are there, and the trained model as new as the checkout's."""
    folders = {"vae": "vae", "text_encoder": "text_encoders", "audio_encoder": "audio_encoders"}
    files = [base / "models" / folder / MODELS[role] for role, folder in folders.items()]
    made = base / "models" / FOLDERS["model"][0] / SHIPPED.name
    is_new = not SHIPPED.is_file() or (made.is_file() and made.stat().st_mtime >= SHIPPED.stat().st_mtime)
    return is_new and all(file.is_file() for file in files)


def prepare(base: Path) -> None:
    """Make ComfyUI's folders and the toy's model files; the host is open.

    Only the shipped model is replaced: a training run knows by the others what it has encoded.
    """
    make_folders(base)
    with tempfile.TemporaryDirectory(prefix=".toy", dir=base) as made:
        toy = import_module("tiny.toy_models")
        toy.write(Path(made), vocabulary(), unpacked, toy.voices())
        for file in filter(Path.is_file, list(Path(made).rglob("*"))):
            place = base / "models" / file.relative_to(made)
            place.parent.mkdir(parents=True, exist_ok=True)
            if file.name == SHIPPED.name or not place.is_file():
                file.replace(place)


def make_videos(generator: Generator, scenes: Sequence[Scene], settings: Settings, kept: Kept) -> Iterator[float]:
    """Make the videos that are not kept yet; seconds of each."""
    for scene in scenes:
        begun = time.monotonic()
        pictures = generator.generate(
            scene,
            settings.clips,
            settings.steps,
            settings.guidance,
            settings.seed,
            latents=settings.latents or None,
        )
        kept.put(scene, pictures)
        yield time.monotonic() - begun


def sheet(scenes: Sequence[Scene], videos: Sequence[np.ndarray], scale: int = SHEET_SCALE) -> np.ndarray:
    """Drawn frames above generated ones, `[H, W, 3]` uint8: a pair of rows is a scene, its references before them."""
    width, height = WIDTH * scale + GAP, HEIGHT * scale + GAP
    pair = LINE + 2 * height
    page = np.full((pair * len(scenes) + GAP, width * (1 + SHEET_FRAMES) + GAP, 3), PAPER, np.uint8)
    for row, (scene, video) in enumerate(zip(scenes, videos, strict=True)):
        numbers = np.linspace(0, len(video) - 1, SHEET_FRAMES).round().astype(int).tolist()
        top = row * pair + LINE
        text = f"{scene.prompt}: person and product given, then drawn (above) and generated frames {numbers}"
        cv2.putText(page, text, (GAP, top - 5), cv2.FONT_HERSHEY_SIMPLEX, TEXT_SIZE, INK, 1, cv2.LINE_AA)
        above = [person_picture(scene), *(frame(scene, MOTION + number) for number in numbers)]
        below = [product_picture(scene), *(video[number] for number in numbers)]
        for down, pictures in ((top, above), (top + height, below)):
            for column, picture in enumerate(pictures):
                large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
                left = GAP + column * width
                page[down : down + HEIGHT * scale, left : left + WIDTH * scale] = large
    return page


def measured_table(scenes: Sequence[Scene], settings: Settings, kept: Kept) -> list[str]:
    """The table of kept videos, line by line."""
    rows, renders = [], []
    for number, scene in enumerate(scenes, 1):
        judge = Judge(scene)
        rows.append(judge.numbers(kept.get(scene), settings.joins))
        renders.append(judge.of_renders(settings.frames, settings.joins))
        sys.stderr.write(f"\r{number} of {len(scenes)} videos measured")
    sys.stderr.write("\n")
    return list(table(rows, renders))


def main(arguments: list[str]) -> int:
    """The command."""
    options = _parse(arguments)
    base = options.work / "base"
    try:
        if not is_ready(base):
            open_host(options.comfyui, base)
            prepare(base)
        paths = {role: find_file(base, role, given) for role, given in _given(options).items()}
        stamps = {role: stamp_of(path) for role, path in paths.items()}
        settings = Settings(
            stamps["model"],
            stamps.get("adapter", ""),
            options.clips,
            options.latents,
            options.steps,
            options.guidance,
            options.seed,
        )
        scenes = PARTS[options.part].take(options.scenes)
        kept = Kept(options.work / MEASURED, paths["model"].stem, settings)
        missing = [scene for scene in scenes if not kept.has(scene)]
        if missing:
            open_host(options.comfyui, base)
            _make(missing, settings, kept, options)
    except ValueError as error:  # those of the pack too
        sys.stderr.write(f"{error}\n")
        return 1
    text = "\n".join(measured_table(scenes, settings, kept)) + "\n"
    sys.stdout.write(text)
    if options.out:
        write_text(options.out, text)
    if options.sheet:
        shown = scenes[:SHEET_SCENES]
        write_page(options.sheet, sheet(shown, [kept.get(scene) for scene in shown]))
    return 0


def _make(missing: Sequence[Scene], settings: Settings, kept: Kept, options: argparse.Namespace) -> None:
    """Make videos, and say how long the rest takes."""
    generator = Generator(Encoders(), options.model, options.adapter)
    taken: list[float] = []
    for seconds in make_videos(generator, missing, settings, kept):
        taken.append(seconds)
        left = np.mean(taken) * (len(missing) - len(taken)) / 60
        sys.stderr.write(f"\r{len(taken)} of {len(missing)} videos made, {seconds:.0f} s each, {left:.0f} min left")
        sys.stderr.flush()
    sys.stderr.write("\n")


def _given(options: argparse.Namespace) -> dict[str, str]:
    return {"model": options.model} | ({"adapter": options.adapter} if options.adapter else {})


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m toy.measure", description="Measure a model on held-out scenes.")
    parser.add_argument("work", type=Path, help="the folder of toy.recipe, or one of its own")
    parser.add_argument("model", help="as ComfyUI lists it, such as CoInteract/toy_model.safetensors, or a path")
    parser.add_argument("--adapter", help="as ComfyUI lists it, or a path")
    parser.add_argument("--scenes", type=int, default=TEST_SCENES, help="how many")
    parser.add_argument("--part", choices=sorted(PARTS), default=TEST, help="which scenes, see toy/held_out.py")
    parser.add_argument("--clips", type=int, default=CLIPS, help="of a video, each of 80 frames")
    parser.add_argument("--latents", type=int, default=0, help="one clip of so few latents instead, 4 frames each")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a clip")
    parser.add_argument("--guidance", type=float, default=GUIDANCE, help="by prompt and speech; 1 takes half the time")
    parser.add_argument("--seed", type=int, default=SEED, help="of the noise")
    parser.add_argument("--out", type=Path, help="also write the table there")
    parser.add_argument("--sheet", type=Path, help="draw frames of the first scenes there, as .png")
    comfyui = Path(os.environ.get(COMFYUI) or ROOT / ".comfyui" / "ComfyUI")
    parser.add_argument("--comfyui", type=Path, default=comfyui, help="a ComfyUI, by default the set-up's")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
