"""The demo in the drawn world: a presenter speaks and handles a product, made by a small model that was trained."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import ROOT, Host, run, say
from comfyui_setup.hostserver import Server
from comfyui_setup.testbase import with_host
from demos.runs import Page, describe, make_video
from demos.toy_files import NEXT_CLIP, REAL_TO_TOY, read_facts, said_of_words, values_for
from tiny.sample_inputs import PERSON, PRODUCT
from tiny.toy_inputs import SAMPLE

NAME = "toy"  # of the video
TEST_PART = "test"  # of the world's scenes, see toy/held_out.py


def demonstrate(server: Server, page: Page, options: argparse.Namespace) -> None:
    """Make a video of a scene and say what it shows."""
    facts = read_facts(server.base)
    scene, asked = facts[SAMPLE], options.prompt or facts[SAMPLE]["prompt"]
    unknown = said_of_words(asked, facts["words"])
    if unknown is not None:
        say(unknown)
    say(f"scene {options.scene} of the drawn world, {facts['width']}x{facts['height']}: {asked}")
    video = make_video(server, page, values_for(facts, asked, NAME), REAL_TO_TOY)
    describe(server.host, video)
    print(
        line_of_sample(measure(server.host, video, TEST_PART, scene), own_prompt=asked == scene["prompt"]), flush=True
    )
    if options.picture is not None:
        draw_picture(server, video, options.picture, asked)


def measure(host: Host, video: Path, part: str, scene: Mapping[str, Any]) -> dict[str, float]:
    """What a video shows, in numbers; see `measure_toy`.

    Args:
        part: of the world that the scene is of.
        scene: its facts.
    """
    command = [host.python, ROOT / "scripts" / "demos" / "measure_toy.py", video, "--part", part]
    command += ["--seed", str(scene["seed"]), "--first", str(scene["first"])]
    return json.loads(run(command, f"{video} cannot be measured.", with_host(host)))


def line_of_sample(found: Mapping[str, float], own_prompt: bool) -> str:
    """One line about a video.

    Args:
        found: of `measure`.
        own_prompt: whether it was asked for what its scene shows; else only what no prompt changes is compared.
    """
    voice = f"mouth and loudness correlate by {found['mouth']:.2f}"
    join = f"between the clips the picture changes {found['jump']:.1f} times as much as from frame to frame"
    if not own_prompt:
        return f"measured: {voice}; {join}"
    product = f"the product is where it should be in {found['product']:.0%} of the frames"
    return f"measured: {product}, in the named hand in {found['held']:.0%}; {voice}; {join}"


def draw_picture(server: Server, video: Path, out: Path, prompt: str) -> None:
    """Draw what went in and what came out on one page, the picture of the README."""
    inputs = server.base / "input"
    command = [server.host.python, ROOT / "scripts" / "demos" / "toy_picture.py", video]
    command += [inputs / PERSON, inputs / PRODUCT, out.resolve(), " ".join(prompt.replace(NEXT_CLIP, "/").split())]
    run(command, f"The picture {out} could not be drawn.", with_host(server.host))
    print(f"{out}, {out.stat().st_size / 1000:.0f} kB", flush=True)
