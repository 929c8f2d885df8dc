"""Time our transformer beside the authors' and the host's, with the same random weights, and check that they agree.

    python3 benchmarks/compare.py --reference PATH_TO_THE_AUTHORS_CHECKOUT [--json]
    python3 benchmarks/compare.py --reference PATH --size 480p --device cuda        # 14B; 720p likewise
    python3 benchmarks/compare.py --reference PATH --precision bfloat16 --width 128 --rounds 1      # the same on a CPU

Everything runs in one process, in turn, with PyTorch's attention: medians over 21 rounds, of times and of the ratios
within a round. The forwards of both run twice a round; where one differs from itself by more than 2 %, the run is
marked as noisy. The VAE's decoding of a later clip is timed beside the host's.
Goals stand in rounds.py; a ratio without one is printed for information. Times are not asserted: the exit
status is 0 where the predictions agree.

A ComfyUI is taken from COINTERACT_COMFYUI, or set up in the checkout as the other scripts do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from running import part, run

ROUNDS = 21


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this program takes beside `--json`."""
    parser.add_argument("--reference", type=Path, required=True, help="a checkout of luoxyhappy/CoInteract")
    sizes = ("small", "tenth", "480p", "720p")
    parser.add_argument("--size", choices=sizes, default="small", help="480p and 720p are 14B, the others for a CPU")
    parser.add_argument("--width", type=int, help="of a model for a CPU, a multiple of 128; goals are for the default")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="float32 on a CPU, else bfloat16")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which medians are taken")
    parser.add_argument("--cases", default="forward,step,clip,decode", help="which to time, with commas between")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything; plain values."""
    part("traced.model14b").set_up(cpu=options.device == "cpu")
    rounds, cases = part("timed.rounds"), options.cases.split(",")
    width = rounds.WIDTH if options.width is None else options.width
    if width < rounds.HEAD or width % rounds.HEAD:
        raise SystemExit(f"--width is {width}, but whole heads are expected; take a multiple of {rounds.HEAD}.")
    precision = options.precision or rounds.usual_precision(options.device)
    plan = rounds.Plan(options.size, width, options.device, precision, options.rounds, cases)
    try:
        return rounds.compare(options.reference, plan, sys.stderr.write)
    except part("timed.reference").CheckoutError as error:
        raise SystemExit(f"{error}") from error


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{report['date']}, {report['hardware']}, PyTorch {report['torch']}", report["what"], ""]
    lines.append("largest difference to the authors: " + f"{report['difference']:.1e}, allowed {report['allowed']:.0e}")
    lines += ["", f"{'':34}{'median':>12}{'spread':>9}"]
    for name, found in report["times"].items():
        lines.append(f"{name:34}{1000 * found['median']:>9.1f} ms{100 * found['spread']:>8.1f}%")
    lines += ["", f"{'':44}{'found':>9}{'goal':>9}"]
    for row in report["ratios"]:
        goal = "" if row["goal"] is None else f"{row['sign']} {row['goal']:g}"
        verdict = "" if row["ok"] is None else ("  holds" if row["ok"] else "  MISSED")
        lines.append(f"{row['name']:44}{row['value']:>9.3f}{goal:>9}{verdict}")
    for name, value in report["memory"].items():
        lines.append(f"{name:44}{value / 1e9:>6.2f} GB")
    if report["noisy"]:
        lines.append(f"noisy: one program differs from itself by {100 * report['repeat']:.1f} %")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, sys.argv[1:], measure, _as_text, add_arguments))
