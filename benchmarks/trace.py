"""Trace one forward of the 14B model at 480p and 720p without a GPU, and hold it against its budgets.

    python3 benchmarks/trace.py [--json]

The model is built on PyTorch's `meta` device: every operation happens, no number does. The forward is one of a clip
after the first (20 target latents, person, product, motion frames, pose, speech, experts on; 36,634 tokens at 480p,
84,560 at 720p), its constants computed before, as from the second step of a run on. Beside it stand the host's own
Wan2.2-S2V class, traced here and now (no product, no experts: 35,074 and 80,960 tokens), and the authors' code, traced
once on the same terms (constants in `budgets.py`). What is counted how is said in `tracing.py`. It also prints what is
left at timesteps from 900 on. The exit status is 0 only if every budget holds.

A ComfyUI is taken from COINTERACT_COMFYUI, or set up in the checkout as the other scripts do.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACK = "cointeract_pack"  # the pack's folder may have any name, and its `nodes` must not hide the host's
HOST = "COINTERACT_COMFYUI"
UNITS = (("", 1.0), ("TB", 1e12), ("GB", 1e9), ("PFLOP", 1e15))


def main(arguments: list[str]) -> int:
    """Find a host, then measure and print."""
    parser = argparse.ArgumentParser(prog="trace", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args(arguments)
    if HOST not in os.environ or importlib.util.find_spec("torch") is None:
        return _run_in_host(arguments)
    sys.path[:] = [os.environ[HOST], *(entry for entry in sys.path if Path(entry or ".").resolve() != ROOT)]
    package = types.ModuleType(PACK)
    package.__path__ = [str(ROOT)]
    sys.modules[PACK] = package
    logging.getLogger().setLevel(logging.ERROR)
    report = measure()
    sys.stdout.write(json.dumps(report, indent=1) + "\n" if options.json else _as_text(report))
    return 0 if report["ok"] else 1


def _run_in_host(arguments: list[str]) -> int:
    """Start this program again with the Python and the tree of a ComfyUI."""
    sys.path.append(str(ROOT / "scripts"))
    hostenv = importlib.import_module("hostenv")
    try:
        named = os.environ.get(HOST)
        host = hostenv.existing_host(Path(named)) if named else hostenv.ready_host()
    except hostenv.SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    environment = {**os.environ, HOST: str(host.tree)}
    return subprocess.run([str(host.python), __file__, *arguments], env=environment, check=False).returncode


def measure() -> dict[str, Any]:
    """Trace everything; plain values, as `--json` prints them."""
    model14b = importlib.import_module(f"{PACK}.benchmarks.model14b")
    budgets = importlib.import_module(f"{PACK}.benchmarks.budgets")
    model14b.set_up()
    ours, bare, theirs = model14b.build_ours(), model14b.build_ours(experts=False), model14b.build_host()
    routed = {size: model14b.trace_ours(ours, size) for size in model14b.SIZES}
    unrouted = {size: model14b.trace_ours(ours, size, routed=False) for size in model14b.SIZES}
    plain = {size: model14b.trace_ours(bare, size) for size in model14b.SIZES}
    parameters = model14b.parameters(ours)
    verdicts = list(budgets.judge(routed, unrouted, plain, parameters))
    sizes = {}
    for size, traced in routed.items():
        hosted = model14b.trace_host(theirs, size)
        columns = {
            "ours": budgets.numbers(traced),
            "ours from timestep 900": budgets.numbers(unrouted[size]),
            "budget": budgets.BUDGETS[size],
            "host": budgets.numbers(hosted),
            "official": budgets.OFFICIAL[size],
        }
        sizes[size] = {
            "tokens": {"ours": traced.tokens, "host": hosted.tokens},
            "numbers": {name: dict(zip(budgets.NAMES, values, strict=True)) for name, values in columns.items()},
            "kernels of ours": dict(traced.measures.by_kernel.most_common()),
        }
    return {
        "parameters": {"ours": parameters, "host": model14b.parameters(theirs), "official": budgets.PARAMETERS},
        "sizes": sizes,
        "budgets": [
            {"name": verdict.name, "value": verdict.value, "allowed": verdict.allowed, "ok": verdict.ok}
            for verdict in verdicts
        ],
        "ok": all(verdict.ok for verdict in verdicts),
    }


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"parameters: {', '.join(f'{name} {count:,}' for name, count in report['parameters'].items())}", ""]
    for size, found in report["sizes"].items():
        lines.append(f"{size}, {found['tokens']['ours']:,} tokens (host {found['tokens']['host']:,})")
        names = list(next(iter(found["numbers"].values())))
        lines.append(f"  {'':24}" + "".join(f"{name:>20}" for name in names))
        for column, values in found["numbers"].items():
            shown = [_shown(values[name], unit, size) for name, (unit, size) in zip(names, UNITS, strict=True)]
            lines.append(f"  {column:24}" + "".join(f"{value:>20}" for value in shown))
        lines.append("")
    for budget in report["budgets"]:
        verdict = "ok  " if budget["ok"] else "FAIL"
        lines.append(f"{verdict}  {budget['name']}: {budget['value']:,.0f}, allowed {budget['allowed']:,.0f}")
    lines.append("every budget holds" if report["ok"] else "a budget does not hold")
    return "\n".join(lines) + "\n"


def _shown(value: float, unit: str, size: float) -> str:
    return f"{value / size:.4g} {unit}" if unit else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
