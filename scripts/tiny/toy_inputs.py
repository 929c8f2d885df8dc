"""Write inputs drawn by the toy world: person, product and speech of a test scene, and rows and a scene of the lesson.

    PYTHONPATH=scripts:. python scripts/tiny/toy_inputs.py INPUT [--scene 0]

What they show is written beside them, in words and numbers: `toy.json` is all that the demo knows of the world, for it
is read by Pythons that could not import it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny.sample_inputs import PERSON, PRODUCT, SPEECH, TRAINING

if TYPE_CHECKING:
    from toy.world.scene import Scene

FACTS = "toy.json"
SAMPLE, LESSON = "sample", "lesson"  # the two sets of inputs
LESSON_INPUTS = {name: name.replace("cointeract", LESSON) for name in (PERSON, PRODUCT, SPEECH)}
CLIP_FRAMES = 80  # of a clip, in our transformer's plan
SAMPLE_CLIPS, LESSON_CLIPS = 2, 1
LESSON_FRAMES = 16  # of a row: short ones are quick to learn from


def inputs(scene: Scene, clips: int) -> dict[str, Any]:
    """What there is to know of a scene whose inputs were written."""
    from toy.dataset import MOTION

    return {"seed": scene.seed, "prompt": scene.prompt, "first": MOTION, "frames": clips * CLIP_FRAMES}


def write_inputs(folder: Path, scene: Scene, about: dict[str, Any], names: dict[str, str]) -> None:
    """Write person, product and speech of a scene.

    Args:
        about: of `inputs`; the speech is that of its frames.
        names: to be given instead of those the shipped workflows load.
    """
    from toy.files import write_picture, write_sound
    from toy.world.render import person_picture, product_picture
    from toy.world.voice import samples

    write_picture(folder / names.get(PERSON, PERSON), person_picture(scene))
    write_picture(folder / names.get(PRODUCT, PRODUCT), product_picture(scene))
    write_sound(folder / names.get(SPEECH, SPEECH), samples(scene.seed, about["first"], about["frames"]))


def write_rows(folder: Path) -> int:
    """Write the rows of the lesson as a training table; the seed of the last one."""
    from toy import held_out
    from toy.dataset import Settings, clips_of, open_folder, write_clip, write_table

    settings = Settings(held_out.LESSON, LESSON_FRAMES, motion=False, hoi=False)
    clips = list(clips_of(held_out.PARTS[held_out.LESSON], settings, held_out.LESSON_ROWS, 1))
    shutil.rmtree(folder, ignore_errors=True)  # of an older world, or the project's own sample table
    open_folder(folder, settings)
    for clip in clips:
        write_clip(folder, clip, settings)
    write_table(folder)
    return clips[-1].scene.seed


def lesson_scene(last: int) -> Scene:
    """A scene behind the rows, whose last seed is given: new in its product alone."""
    from toy.held_out import LESSON as PART
    from toy.held_out import PARTS, is_unseen

    return next(scene for scene in PARTS[PART].scenes(last + 1) if not is_unseen(scene))


def sampling() -> dict[str, float]:
    """How the world's model is sampled, as the sampler's widgets have it."""
    from toy.generation import GUIDANCE, SEED, SHIFT, STEPS

    return {"seed": SEED, "steps": STEPS, "cfg": GUIDANCE, "shift": SHIFT}


def write(folder: Path, number: int) -> None:
    """Write everything into ComfyUI's input folder.

    Args:
        number: of the test scene, from 0.
    """
    from toy.generation import NEGATIVE
    from toy.held_out import LESSON_SHAPE, PARTS, TEST
    from toy.world.palette import HEIGHT, WIDTH
    from toy.world.scene import vocabulary

    folder.mkdir(parents=True, exist_ok=True)
    sample = PARTS[TEST].take(number + 1)[-1]
    lesson = lesson_scene(write_rows(folder / TRAINING))
    about = {SAMPLE: inputs(sample, SAMPLE_CLIPS), LESSON: inputs(lesson, LESSON_CLIPS)}
    write_inputs(folder, sample, about[SAMPLE], {})
    write_inputs(folder, lesson, about[LESSON], LESSON_INPUTS)
    facts = {
        "width": WIDTH, "height": HEIGHT, "words": vocabulary(), "negative": NEGATIVE, "sampling": sampling(),
        "shape": LESSON_SHAPE, **about,
    }  # fmt: skip
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scene", type=int, default=0, help="number of a test scene")
    options = parser.parse_args(arguments)
    write(options.folder, options.scene)


if __name__ == "__main__":
    main(sys.argv[1:])
