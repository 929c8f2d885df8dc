"""Print the table of metrics on renders and on known faults: `python -m toy.metrics [--scenes 32]`."""

from __future__ import annotations

import argparse
import sys

import cv2

from ..held_out import TEST_SCENES
from .table import markdown, scenes_of_table


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m toy.metrics", description=str(__doc__).split(":", maxsplit=1)[0])
    parser.add_argument("--scenes", type=int, default=TEST_SCENES, help="how many held-out scenes")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    for line in markdown(scenes_of_table(options.scenes)):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
