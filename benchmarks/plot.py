"""Draw the report of `trace.py` as bars.

    python3 benchmarks/trace.py --json > trace.json
    python3 benchmarks/plot.py trace.json docs/images/performance.svg

Standard library only; the picture is SVG.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

WIDTH, PANEL, HEIGHT, TOP, BASE = 1120, 220, 376, 70, 210
WORK_TOP, WORK_LEFT, WORK_WIDTH, WORK_HEIGHT = 298, 60, 1040, 24  # the bars of work, below everything else
SHOWN_FROM = 0.02  # of the work: narrower pieces hold no label
COLOURS = {"ours": "#2f7d5b", "host": "#7a8794", "official": "#c0703a"}
NAMES = {"ours": "this pack", "host": "ComfyUI's S2V (no experts, no product)", "official": "the authors' program"}
TEXT = "#57606a"  # readable on light and dark pages
STACK = (("weights", "#2f7d5b"), ("peak of a pass", "#7ab89b"), ("kept for the clip", "#c9d8cf"))
WORK = ("#2f7d5b", "#7ab89b", "#c0703a", "#7a8794", "#d9a441", "#8a5fb0", "#c9d8cf")  # in the order of the report


def panels(report: dict[str, Any]) -> list[tuple[str, list[tuple[str, dict[str, float]]]]]:
    """Titles, and per size the value of each implementation."""

    def numbers(name: str, unit: float) -> list[tuple[str, dict[str, float]]]:
        return [
            (size, {key: found["numbers"][key][name] / unit for key in COLOURS})
            for size, found in report["sizes"].items()
        ]

    decoding = [
        (size, {key: found[key]["FLOPs"] / 1e15 for key in COLOURS}) for size, found in report["decoding"].items()
    ]
    return [
        ("kernels of a pass", numbers("kernels", 1.0)),
        ("traffic of a pass, TB", numbers("bytes moved", 1e12)),
        ("peak of a pass, GB", numbers("peak activation", 1e9)),
        ("decoding a clip, PFLOP", decoding),
    ]


def bars(left: float, title: str, groups: list[tuple[str, dict[str, float]]]) -> list[str]:
    """One panel of grouped bars."""
    highest = max(value for _, values in groups for value in values.values())
    out = [f'<text x="{left}" y="{TOP - 18}" class="title">{title}</text>']
    for group, (size, values) in enumerate(groups):
        start = left + group * 92
        for place, (name, value) in enumerate(values.items()):
            height = (BASE - TOP - 14) * value / highest
            x, y = start + place * 27, BASE - height
            out.append(f'<rect x="{x}" y="{y:.1f}" width="24" height="{height:.1f}" fill="{COLOURS[name]}"/>')
            label = f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2f}"
            out.append(f'<text x="{x + 12}" y="{y - 4:.1f}" class="value">{label}</text>')
        out.append(f'<text x="{start + 38}" y="{BASE + 16}" class="value">{size}</text>')
    return out


def stacks(left: float, report: dict[str, Any]) -> list[str]:
    """Video memory by precision and size."""
    memory = report["memory"]
    columns = []
    for precision, weights in memory["weights"].items():
        for size, found in memory["sizes"].items():
            kept = found["constants of a clip"] + found["first attention"]
            columns.append((f"{precision} {size}", [weights["resident"], found["peak of a pass"], kept]))
    highest = max(sum(parts) for _, parts in columns)
    out = [f'<text x="{left}" y="{TOP - 18}" class="title">video memory, GB</text>']
    for place, (label, parts) in enumerate(columns):
        x, y = left + place * 52, float(BASE)
        for value, (_, colour) in zip(parts, STACK, strict=True):
            height = (BASE - TOP - 14) * value / highest
            y -= height
            out.append(f'<rect x="{x}" y="{y:.1f}" width="40" height="{height:.1f}" fill="{colour}"/>')
        out.append(f'<text x="{x + 20}" y="{y - 4:.1f}" class="value">{sum(parts) / 1e9:.1f}</text>')
        precision, size = label.split()
        out.append(f'<text x="{x + 20}" y="{BASE + 16}" class="value">{precision}</text>')
        out.append(f'<text x="{x + 20}" y="{BASE + 28}" class="value">{size}</text>')
    return out


def work(report: dict[str, Any]) -> list[str]:
    """Where the FLOPs of a pass go, a bar per size."""
    out = [f'<text x="12" y="{WORK_TOP - 38}" class="title">where the work of a pass goes, % of its FLOPs</text>']
    sizes = {size: found["FLOPs of ours"] for size, found in report["sizes"].items()}
    drawn = dict(zip(next(iter(sizes.values())), WORK, strict=True))
    for number, (size, flops) in enumerate(sizes.items()):
        whole = sum(flops.values())
        x, y = float(WORK_LEFT), WORK_TOP + number * (WORK_HEIGHT + 10)
        out.append(f'<text x="12" y="{y + 16}" class="legend">{size}</text>')
        for place, value in flops.items():
            share = value / whole
            width = WORK_WIDTH * share
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{WORK_HEIGHT}" fill="{drawn[place]}"/>')
            if share >= SHOWN_FROM:
                out.append(f'<text x="{x + width / 2:.1f}" y="{y + 16}" class="share">{100 * share:.0f}</text>')
            x += width
    shown = [(place, colour) for place, colour in drawn.items() if place != "rest"]
    return [*out, *legend(shown, 12, WORK_TOP - 14)]


def legend(entries: list[tuple[str, str]], left: float, y: float) -> list[str]:
    """Coloured squares and what they mean, in a row."""
    out = []
    for name, colour in entries:
        out.append(f'<rect x="{left}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{left + 15}" y="{y}" class="legend">{name}</text>')
        left += 32 + 6.4 * len(name)
    return out


def draw(report: dict[str, Any]) -> str:
    """The whole picture."""

    def place(number: int) -> float:
        return 12 + number * (PANEL - 8)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f"<style>.title{{font-size:13px;font-weight:bold;fill:{TEXT}}}.legend{{font-size:12px;fill:{TEXT}}}"
        f".value{{font-size:10px;fill:{TEXT};text-anchor:middle}}"
        ".share{font-size:12px;fill:#ffffff;text-anchor:middle}</style>",
        *legend([(NAMES[name], colour) for name, colour in COLOURS.items()], 12, 20),
        *legend(list(STACK), place(4) - 160, 20),
    ]
    for number, (title, groups) in enumerate(panels(report)):
        parts += bars(place(number), title, groups)
    return "\n".join([*parts, *stacks(place(4), report), *work(report), "</svg>"]) + "\n"


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    target.write_text(draw(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
