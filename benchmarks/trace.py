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

import sys
from typing import Any

from running import part, run

UNITS = (("", 1.0), ("TB", 1e12), ("GB", 1e9), ("PFLOP", 1e15))


def measure() -> dict[str, Any]:
    """Trace everything; plain values, as `--json` prints them."""
    model14b, budgets = part("traced.model14b"), part("traced.budgets")
    model14b.set_up()
    ours, bare, theirs = model14b.build_ours(), model14b.build_ours(experts=False), model14b.build_host()
    routed = {size: model14b.trace_ours(ours, size) for size in model14b.SIZES}
    unrouted = {size: model14b.trace_ours(ours, size, routed=False) for size in model14b.SIZES}
    plain = {size: model14b.trace_ours(bare, size) for size in model14b.SIZES}
    second = {size: model14b.trace_ours(ours, size, second=True) for size in model14b.SIZES}
    memory = part("traced.memory14b").report(part("traced.memory14b").build_base_model(), routed, second)
    decoding = {size: _decoding(size) for size in model14b.SIZES}
    parameters = model14b.parameters(ours)
    verdicts = [
        *budgets.judge(routed, unrouted, plain, parameters),
        *budgets.judge_memory(memory),
        *budgets.judge_decoding(decoding, part("traced.vae14b").latents_a_step()),
    ]
    sizes = {}
    for size, traced in routed.items():
        hosted = model14b.trace_host(theirs, size)
        columns = {
            "ours": budgets.numbers(traced),
            "ours, second pass": budgets.numbers(second[size]),
            "ours from timestep 900": budgets.numbers(unrouted[size]),
            "budget": budgets.BUDGETS[size],
            "host": budgets.numbers(hosted),
            "official": budgets.OFFICIAL[size],
        }
        sizes[size] = {
            "tokens": {"ours": traced.tokens, "host": hosted.tokens},
            "numbers": {name: dict(zip(budgets.NAMES, values, strict=True)) for name, values in columns.items()},
            "kernels of ours": dict(traced.measures.by_kernel.most_common()),
            "FLOPs of ours": part("traced.places").work_by_place(traced.measures),
        }
    return {
        "parameters": {"ours": parameters, "host": model14b.parameters(theirs), "official": budgets.PARAMETERS},
        "sizes": sizes,
        "memory": memory,
        "decoding": decoding,
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
        work = found["FLOPs of ours"]
        whole = sum(work.values())
        shares = (f"{place} {100 * flops / whole:.1f}" for place, flops in work.items())
        lines += [f"  % of our FLOPs: {', '.join(shares)}", ""]
    lines += [*_memory_as_text(report["memory"]), *_decoding_as_text(report["decoding"])]
    for budget in report["budgets"]:
        verdict = "ok  " if budget["ok"] else "FAIL"
        lines.append(f"{verdict}  {budget['name']}: {budget['value']:,.0f}, allowed {budget['allowed']:,.0f}")
    lines.append("every budget holds" if report["ok"] else "a budget does not hold")
    return "\n".join(lines) + "\n"


def _decoding(size: str) -> dict[str, dict[str, float]]:
    """Decoding one later clip: the four numbers of ours and the host's, and the authors' FLOPs."""
    budgets, vae14b = part("traced.budgets"), part("traced.vae14b")
    found = {
        name: dict(zip(budgets.NAMES, budgets.measured(measures), strict=True))
        for name, measures in vae14b.trace_decoding(size).items()
    }
    return {**found, "official": {"FLOPs": found["host"]["FLOPs"] * vae14b.AUTHORS_TILES[size]}}


def _decoding_as_text(decoding: dict[str, Any]) -> list[str]:
    lines = ["decoding a later clip: 80 frames behind 73 that are known"]
    for size, found in decoding.items():
        for column, values in found.items():
            units = dict(zip(("kernels", "bytes moved", "peak activation", "FLOPs"), UNITS, strict=True))
            shown = ", ".join(f"{name} {_shown(value, *units[name])}" for name, value in values.items())
            lines.append(f"  {size} {column}: {shown}")
    return [*lines, ""]


def _memory_as_text(memory: dict[str, Any]) -> list[str]:
    lines = ["video memory of sampling, GB (without CUDA's own)"]
    for precision, found in memory["weights"].items():
        parked = found["whole"] - found["resident"]
        lines.append(f"  weights in {precision}: {found['resident'] / 1e9:.2f}, {parked / 1e9:.2f} parked")
    for size, found in memory["sizes"].items():
        parts = ("peak of a pass", "constants of a clip", "first attention", "pose tokens", "estimate for the host")
        lines.append(f"  {size}: " + ", ".join(f"{part} {found[part] / 1e9:.2f}" for part in parts))
        sums = ", ".join(f"{precision} {value / 1e9:.2f}" for precision, value in found["video memory"].items())
        lines.append(f"  {size} in all, without a pose: {sums}")
    return [*lines, ""]


def _shown(value: float, unit: str, size: float) -> str:
    return f"{value / size:.4g} {unit}" if unit else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, sys.argv[1:], measure, _as_text))
