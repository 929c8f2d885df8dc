"""Run the proof: one cell, all of them, what they came to, and what the HOI stream costs at inference.

    python -m toy.benchmark CELL --seed N --work WORK     trains and measures one cell; goes on where it was stopped
    python -m toy.benchmark grid --work WORK [--seeds 3]  all cells with seeds 0, 1, 2; --seed begins with another
    python -m toy.benchmark report --work WORK            tables and plots of what is there
    python -m toy.benchmark overhead --work WORK          equal bits and time with the HOI stream and without
    python -m toy.benchmark compute --work WORK           arithmetic of a step with the HOI stream and without

WORK is the folder of `toy.recipe`; its `base --prepare` comes first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..generation import ROOT, Sampling
from ..recipe import COMFYUI
from .cells import ASYMMETRIC, BASE, CELLS, STEPS, result_file
from .claims import SCENES, SEEDS
from .measured.host import open_pack
from .run import Options, result_path, run_cell

PAGE = ROOT / "docs" / "proof.md"
ROUNDS = 30
GIGA = 1e9


def main(arguments: list[str]) -> int:
    """The command."""
    given = _parse(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "grid": _grid,
        "report": _report,
        "overhead": _overhead,
        "compute": _compute,
    }
    open_pack()
    from cointeract_pack.cointeract_core.errors import CoInteractError

    try:
        return commands.get(given.what, _cell)(given)
    except (CoInteractError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    summary, _, more = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m toy.benchmark",
        description=summary,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=[*CELLS, "grid", "report", "overhead", "compute"], metavar="WHAT")
    parser.add_argument("--work", type=Path, required=True, help="the recipe's folder")
    parser.add_argument("--seed", type=int, default=0, help="of rows, noise and fresh experts; of the grid the first")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="of the grid: how many")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a cell")
    parser.add_argument("--scenes", type=int, default=SCENES, help="held-out scenes of each part")
    parser.add_argument("--sampling-steps", type=int, default=Sampling().steps, help="of a clip")
    parser.add_argument("--base", default=BASE, help="the model to begin with, as ComfyUI lists it")
    parser.add_argument("--model", help="of overhead: as ComfyUI lists it; the cell hoi_asymmetric's by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of overhead: timings of each form")
    parser.add_argument("--page", type=Path, default=PAGE, help="of report: the page whose results are written anew")
    parser.add_argument("--comfyui", type=Path, default=os.environ.get(COMFYUI), help="by default the set-up's")
    return parser.parse_args(arguments)


def _options(given: argparse.Namespace) -> Options:
    comfyui = Path(given.comfyui or ROOT / ".comfyui" / "ComfyUI").resolve()
    sampling = Sampling(steps=given.sampling_steps, seed=0)
    return Options(given.work.resolve(), comfyui, given.base, given.steps, given.scenes, sampling)


def _cell(given: argparse.Namespace) -> int:
    return run_cell(CELLS[given.what], given.seed, _options(given))


def _grid(given: argparse.Namespace) -> int:
    """Every cell in a process of its own; the first seed of all cells comes before the second of any."""
    options = _options(given)
    own = {"steps": given.steps, "scenes": given.scenes, "sampling-steps": given.sampling_steps, "base": given.base}
    words = ["--work", str(options.work), "--comfyui", str(options.comfyui)]
    words += [word for name, value in own.items() for word in (f"--{name}", str(value))]
    for seed in range(given.seed, given.seed + given.seeds):
        for name in CELLS:
            if result_path(options.folder, name, seed).is_file():
                continue
            command = [sys.executable, "-m", "toy.benchmark", name, "--seed", str(seed), *words]
            if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
                sys.stderr.write(f"{name} with seed {seed} ended with {status}; the same command goes on from there.\n")
                return status
    return 0


def _report(given: argparse.Namespace) -> int:
    from .page.report import write_report

    options = _options(given)
    sys.stdout.write(write_report(options.folder, given.page))
    return 0


def _overhead(given: argparse.Namespace) -> int:
    options = _options(given)
    options.open()
    from .measured.overhead import overhead

    name = given.model or result_file(CELLS[f"hoi_{ASYMMETRIC}"], given.seed)
    found = overhead(options.folder, options.models, name, given.rounds)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def _compute(given: argparse.Namespace) -> int:
    options = _options(given)
    options.open()
    from .measured.compute import OFF, count

    found = count(options.folder, options.base)
    for mode, operations in found.items():
        ratio = operations / found[OFF]
        sys.stdout.write(f"{mode}: {operations / GIGA:.2f} GFLOP for a row, {ratio:.3f} times {OFF}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
