"""Set up a real ComfyUI, make an ad in it from a picture of a person, one of a product and a speech, and tell where
the mp4 lies.

    python3 scripts/demo.py [--scene N] [--prompt TEXT] [--picture PNG] [--keep] [--comfyui DIR] [--workflow FILE]
    python3 scripts/demo.py --train
    python3 scripts/demo.py --random [--train] [--samples DIR]

The model is small, ours, and trained on a world we drew (toy/): what it makes is a scene of that world. With --train
it learns a product it has never seen from three rows, and a clip from before stands beside the same clip after. With
--random the weights are random: this proves the pipeline, not the picture.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import ROOT, Host, SetupError, check_python, existing_host, ready_host, stop_on_termination
from comfyui_setup.hostlock import setting_up, using
from comfyui_setup.hostserver import Server, running_server
from comfyui_setup.testbase import prepare_base, prepare_toy, toy_base

AD_WORKFLOW = ROOT / "workflows" / "cointeract_ad.json"
MOST_SCENES = 1000  # of the test part, which has far more


def main(arguments: list[str]) -> int:
    """Run the demo."""
    options = _parse(arguments)
    stop_on_termination()
    try:
        check_python()
        page = _read(options)
        with setting_up():
            host = ready_host() if options.comfyui is None else existing_host(options.comfyui)
        with using(host.base if options.random else toy_base(host)):
            with setting_up():
                base = prepare_base(host, options.samples) if options.random else prepare_toy(host, options.scene)
            _run(host, base, page, options)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _read(options: argparse.Namespace) -> dict[str, Any]:
    """The workflow, once the options are known to be good."""
    from demos.runs import read_workflow  # here, where an old Python has already been told apart
    from demos.toy_files import check_files

    if options.samples is not None and not options.samples.is_dir():
        raise SetupError(f"{options.samples} is no folder: name one with a person, a product and a speech.")
    page = read_workflow(options.workflow)
    if not options.random:
        check_files(page)
    return page


def _run(host: Host, base: Path, page: dict[str, Any], options: argparse.Namespace) -> None:
    from demos import lesson, page_files, random_weights, toy_world

    with running_server(host, base) as server:
        if options.random:
            (random_weights.train if options.train else random_weights.demonstrate)(server, page)
        elif options.train:
            lesson.teach(server, page)
        else:
            toy_world.demonstrate(server, page, options)
        if options.keep:
            if not options.random:
                print(f"\nworkflows of the page, filled in for the toy: {', '.join(page_files.lay_out(server))}")
            _keep(server)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo.py", description="Run a workflow in a real ComfyUI, on a small model.")
    parser.add_argument(
        "--comfyui", type=Path, metavar="DIR", help="use this ComfyUI, with its Python or one made for it"
    )
    parser.add_argument("--keep", action="store_true", help="leave the server up until Ctrl+C")
    parser.add_argument("--scene", type=int, metavar="N", help="which test scene of the drawn world, from 0")
    parser.add_argument("--prompt", metavar="TEXT", help="ask for something else than the scene shows")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also draw what went in and what came out")
    parser.add_argument("--train", action="store_true", help="teach the model a product it has never seen")
    parser.add_argument("--random", action="store_true", help="take random weights; with --train, learn one row")
    parser.add_argument("--samples", type=Path, metavar="DIR", help="take person, product and speech from this folder")
    parser.add_argument("--workflow", type=Path, metavar="FILE", default=AD_WORKFLOW, help="another one of the page")
    options = parser.parse_args(arguments)
    wrong = conflict(options)
    if wrong is not None:
        parser.error(wrong)
    options.scene = options.scene or 0
    return options


def conflict(options: argparse.Namespace) -> str | None:
    """What of the options does not go together, in one sentence."""
    if options.samples is not None and not options.random:
        return "--samples goes with --random: the trained model knows nothing but the world it was drawn; add it."
    chosen = [name for name in ("scene", "prompt", "picture") if getattr(options, name) is not None]
    for other in ("random", "train"):
        if chosen and getattr(options, other):
            return f"--{chosen[0]} does not go with --{other}, which has its own scene; leave one of them away."
    if options.scene is not None and not 0 <= options.scene < MOST_SCENES:
        return f"--scene is {options.scene}, but a number from 0 to {MOST_SCENES - 1} is expected; choose one."
    return None


def _keep(server: Server) -> None:
    print(f"\nComfyUI stays up at {server.address} (Ctrl+C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while server.running():
            time.sleep(0.5)
        raise server.failure("The ComfyUI server ended")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
