"""Trace one training step of the 14B model without a GPU: what each memory mode keeps, and what fits which card.

    python3 benchmarks/training_trace.py [--json]

LoRA of rank 128 on every target, router, experts and the HOI stream, 720x480 and 81 frames, every condition. Traced on
PyTorch's `meta` device: bytes autograd keeps, and the most that is alive at once. Computed from counts: weights,
gradients and the optimiser. Not measured: what a GPU's allocator and kernels take on top. Beside it stand the authors'
figures. The exit status is 0 only if every budget holds.
"""

from __future__ import annotations

import sys
from typing import Any

from running import part, run

GB = 1e9
# the authors' trainer on one GPU: what stands between blocks, one block's working set, everything together
OFFICIAL = {"asymmetric": (36.0, 22.0, 98.0), "mutual": (36.0, 22.0, 98.0), "off": (18.5, 11.8, 71.0)}
# bytes at 14B that a change of the code may not exceed: kept between blocks, and working set
BUDGETS = {"asymmetric": (25.5e9, 12e9), "mutual": (25.5e9, 12e9), "off": (13.8e9, 8e9)}
BF16, FP8 = 2, 1
BACKBONE_PARAMETERS = 16.3e9  # of which LoRA's layers are kept in fp8 where the base is
CARDS = ("80gb", "48gb", "32gb", "24gb")


def measure() -> dict[str, Any]:
    """Trace everything; plain values, as `--json` prints them."""
    model14b, training = part("traced.model14b"), part("traced.training14b")
    model14b.set_up()
    steps = {hoi: training.trace_step(hoi, recompute=True) for hoi in OFFICIAL}
    plain = {hoi: training.trace_step(hoi, recompute=False) for hoi in OFFICIAL}
    trained = {hoi: training.trained_parameters(hoi != "off") for hoi in OFFICIAL}
    budgets = [
        {"name": f"HOI {hoi}, {name}", "value": value, "allowed": allowed, "ok": value <= allowed}
        for hoi, step in steps.items()
        for name, value, allowed in zip(
            ("kept between blocks", "working set"), (step.boundaries, step.working), BUDGETS[hoi], strict=True
        )
    ]
    return {
        "steps": {
            hoi: {
                "tokens": list(step.tokens),
                "kept without recomputing": plain[hoi].kept,
                "kept between blocks": step.boundaries,
                "working set": step.working,
                "trained parameters": trained[hoi],
                "official": dict(zip(("between blocks", "working set", "total"), OFFICIAL[hoi], strict=True)),
                "cards": {card: on_card(training.recipe(card), step, trained[hoi], training) for card in CARDS},
            }
            for hoi, step in steps.items()
        },
        "budgets": budgets,
        "ok": all(budget["ok"] for budget in budgets),
    }


def on_card(recipe: Any, step: Any, trained: int, training: Any) -> dict[str, float]:
    """Bytes on the device and in main memory with an fp8 base, by what they are."""
    weights = BACKBONE_PARAMETERS * FP8
    update = trained * (training.TRAINED_BYTES + training.GRADIENT_BYTES + training.ADAM_BYTES)
    here = {
        "base in fp8": weights * recipe.resident,
        "trained, gradients, AdamW": update if recipe.trained_on_device else 0.0,
        "between blocks": step.staying if recipe.offload else step.boundaries,
        "working set": step.working,
    }
    locked = training.page_locked(recipe, step)
    aside = locked + (0.0 if recipe.trained_on_device else update)
    device = sum(here.values())
    less = trained * (training.ADAM_BYTES - training.ADAM_8BIT_BYTES) if recipe.trained_on_device else 0.0
    return {**here, "device": device, "device, 8-bit AdamW": device - less, "page-locked": locked, "main memory": aside}


def _as_text(report: dict[str, Any]) -> str:
    lines = []
    for hoi, step in report["steps"].items():
        main, beside = step["tokens"]
        official = step["official"]
        lines += [
            f"HOI {hoi}: {main:,} tokens and {beside:,} of the HOI stream, {step['trained parameters']:,} trained",
            f"  kept without recomputing {step['kept without recomputing'] / GB:8.1f} GB",
            _beside("kept between blocks", step, official["between blocks"]),
            _beside("working set", step, official["working set"]),
            f"  {'GB on an fp8 base':26}" + "".join(f"{name:>10}" for name in step["cards"]) + f"{'authors':>10}",
        ]
        names = list(next(iter(step["cards"].values())))
        for name in names:
            values = "".join(f"{card[name] / GB:10.1f}" for card in step["cards"].values())
            total = f"{official['total']:10.0f}" if name == "device" else ""
            lines.append(f"  {name:26}{values}{total}")
        lines.append("")
    for budget in report["budgets"]:
        verdict = "ok  " if budget["ok"] else "FAIL"
        lines.append(
            f"{verdict}  {budget['name']}: {budget['value'] / GB:.2f} GB, allowed {budget['allowed'] / GB:.2f}"
        )
    lines.append("every budget holds" if report["ok"] else "a budget does not hold")
    return "\n".join(lines) + "\n"


def _beside(name: str, step: dict[str, Any], official: float) -> str:
    return f"  {name:24} {step[name] / GB:8.1f} GB   authors {official}"


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, sys.argv[1:], measure, _as_text))
