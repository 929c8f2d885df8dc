"""Where the time of a training step goes, on a small model on the CPU.

    OMP_NUM_THREADS=1 python3 benchmarks/training_step.py [--json] [--steps 30] [--batch 1 12]

Width 128, 6 blocks, ffn 512; rows of 96x128 pixels and 4 latents with a product, 512 text tokens of which 20 are words,
as the host's umT5 gives them. Every parameter is trained with AdamW and an average. Medians over the steps behind the
first four; the times differ from run to run, so the exit status says nothing of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from running import part, run


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=30, help="of each case; the first four are not counted")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 12], help="samples in a batch")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time every case; plain values, as `--json` prints them."""
    cases = part("timed.training_steps").time_cases(options.steps, options.batch)
    return {"threads": os.environ.get("OMP_NUM_THREADS", "all"), "cases": cases, "ok": True}


def _as_text(report: dict[str, Any]) -> str:
    names = list(next(iter(report["cases"].values())))
    lines = [f"threads: {report['threads']}; milliseconds per step", f"{'':28}" + "".join(f"{n:>13}" for n in names)]
    for case, parts in report["cases"].items():
        lines.append(f"{case:28}" + "".join(f"{parts[name]:13.2f}" for name in names))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, sys.argv[1:], measure, _as_text, _add_arguments))
