"""The comparison itself: who runs in which case, medians over rounds, ratios beside their goals."""

from __future__ import annotations

import datetime
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...cointeract_core.constants import CLIP_TARGET_LATENTS, EXPERT_HIDDEN, TEXT_TOKENS
from ..traced.memory14b import build_base_model, weights
from ..traced.model14b import BACKBONE, SIZES, build_ours, trace_ours
from .allocator import keep_freed_memory
from .contest import Contest, Entry, Size
from .decoding import decode_cases
from .micro import micro_cases
from .reference import Reference
from .timing import Case, paired, time_in_turn

# on a CPU: a tenth of the model's width, heads and blocks; "tenth" has a tenth of its 480p tokens too, so that half of
# the work is attention as there, "small" fewer, so that a round is short
WIDTH, HEAD, BLOCKS, SHORT_TEXT = 512, 128, 4, 32
CELLS = {"small": (16, 12), "tenth": (28, 22)}
FFN_PER_WIDTH, EXPERTS_PER_WIDTH = 2.75, 1 / 16  # 2.7 and 1 / 20 in the model, here in whole vectors
STEPS = (950.0, 500.0)  # timesteps of the clip that is timed: the experts are off in the first half
NOISY = 0.02
ALLOWED = {torch.float32: 5e-6, torch.bfloat16: 0.1}  # of the predictions, which are about 2
FLOOR = 790e12  # FLOP/s of an H200 in bf16
# by device and size: name of a ratio to the least or most it should be
GOALS: dict[tuple[str, str], dict[str, tuple[str, float]]] = {
    ("cpu", "small"): {
        "forward, authors / ours": (">=", 1.15),
        "forward, host / ours, plain": (">=", 1.03),
        "rotation, authors / ours": (">=", 4.0),
        "modulation, authors / ours": (">=", 2.5),
    },
    ("cuda", "480p"): {
        "forward, ours / authors": ("<=", 0.85),
        "forward, experts on / none": ("<=", 1.025),
        "part of 790 TFLOP/s": (">=", 0.80),
        "video memory, bf16, GB": ("<=", 31.0),
        "video memory, fp8, GB": ("<=", 18.0),
    },
    ("cuda", "720p"): {
        "forward, ours / authors": ("<=", 0.91),
        "forward, experts on / none": ("<=", 1.015),
        "video memory, bf16, GB": ("<=", 34.5),
        "video memory, fp8, GB": ("<=", 21.5),
    },
}


def narrow(width: int, cells: tuple[int, int]) -> Size:
    """A model for a CPU, and a clip of 20 latents."""
    settings = {"dim": width, "ffn_dim": int(FFN_PER_WIDTH * width), "num_heads": width // HEAD, "num_layers": BLOCKS}
    settings |= {"text_dim": 256, "audio_dim": 128, "audio_inject_layers": [0, 2]}
    return Size({**BACKBONE, **settings}, int(EXPERTS_PER_WIDTH * width), cells, CLIP_TARGET_LATENTS, SHORT_TEXT)


def size_of(name: str, width: int) -> Size:
    """A model and a clip by name; `width` is that of a model for a CPU."""
    if name in CELLS:
        return narrow(width, CELLS[name])
    return Size(BACKBONE, EXPERT_HIDDEN, SIZES[name], CLIP_TARGET_LATENTS, TEXT_TOKENS)


def usual_precision(device: str) -> str:
    """Name of the dtype a device is measured in."""
    return "float32" if device == "cpu" else "bfloat16"


@dataclass(frozen=True)
class Plan:
    """What is compared, and how."""

    size: str
    width: int
    device: str
    precision: str  # name of a dtype
    rounds: int
    cases: list[str]

    @property
    def goals(self) -> dict[str, tuple[str, float]]:
        """Goals of this size, device and precision."""
        as_set = self.width == WIDTH and self.precision == usual_precision(self.device)
        return GOALS.get((self.device, self.size), {}) if as_set else {}


def compare(checkout: Path, plan: Plan, say: Callable[[str], Any]) -> dict[str, Any]:
    """Everything `compare.py` prints."""
    size, device, dtype = plan.size, plan.device, getattr(torch, plan.precision)
    kept = keep_freed_memory()
    contest = Contest(Reference(checkout), size_of(size, plan.width), device, dtype)
    authors, ours = contest.authors(), contest.ours()
    difference = _difference(authors.forward(), ours.forward())
    seconds: dict[str, list[float]] = {}
    for group in _groups(plan.cases, contest, authors, ours):
        say(f"timing {', '.join(case.name for case in group)}\n")
        seconds |= time_in_turn(group, plan.rounds, device)
    repeats = [abs(paired(seconds, name, f"{name} again") - 1) for name in seconds if f"{name} again" in seconds]
    memory = {}
    if device == "cuda":
        memory = {entry.name: peak(entry) for entry in (authors, ours, contest.ours_fp8(), contest.host())}
    ratios = _ratios(seconds, size, device) | _in_all(memory, size)
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "what": f"{size}, {contest.size.settings['dim']} wide, {plan.precision}, {plan.rounds} rounds"
        + ("" if kept else ", freed memory goes back to the system"),
        "difference": difference,
        "allowed": ALLOWED[dtype],
        "times": {name: _summary(found) for name, found in seconds.items()},
        "ratios": [judged(name, value, plan.goals) for name, value in ratios.items()],
        "memory": {f"peak beside the weights, {name}": value for name, value in memory.items()},
        "repeat": max(repeats, default=0.0),
        "noisy": max(repeats, default=0.0) > NOISY,
        "ok": difference <= ALLOWED[dtype],
    }


def _groups(cases: list[str], contest: Contest, authors: Entry, ours: Entry) -> Iterator[list[Case]]:
    """What is timed in turn; others than the two are built for their group alone, and are not there before."""

    def forwards(timestep: float, entries: dict[str, Entry]) -> list[Case]:
        # other latents and another time in every round, so that nothing of the last one can be reused
        return [
            Case(f"forward{name}", lambda r, entry=entry: entry.forward(timestep - r, seed=r))
            for name, entry in entries.items()
        ]

    both = {", authors": authors, ", ours": ours}
    if "forward" in cases:
        # each twice a round, so that neither always finds the memory as the other left it, and to see how much is noise
        yield forwards(500.0, {**both, **{f"{name} again": entry for name, entry in both.items()}})
        yield forwards(980.0, {f" from 900{name}": entry for name, entry in both.items()})
    if "step" in cases:
        yield [Case(f"step{name}", lambda r, e=entry: e.step(500.0 - r, seed=r)) for name, entry in both.items()]
    if "clip" in cases:
        yield [Case(f"clip{name}", lambda _round, e=entry: e.clip(STEPS)) for name, entry in both.items()]
    yield from micro_cases(ours, authors)
    if "forward" in cases:
        off = contest.ours(experts=False, product=True)
        yield forwards(500.0, {", experts": ours, ", no experts": off, ", fp8": contest.ours_fp8()})
        yield forwards(500.0, {", host": contest.host(), ", ours plain": contest.ours(experts=False)})
    if "decode" in cases:
        yield decode_cases(contest)


def _summary(seconds: list[float]) -> dict[str, float]:
    middle = statistics.median(seconds)
    return {"median": middle, "spread": (max(seconds) - min(seconds)) / middle}


def _ratios(seconds: dict[str, list[float]], size: str, device: str) -> dict[str, float]:
    pairs = {
        "forward, authors / ours": ("forward, authors", "forward, ours"),
        "forward, ours / authors": ("forward, ours", "forward, authors"),
        "forward from 900, authors / ours": ("forward from 900, authors", "forward from 900, ours"),
        "forward, host / ours, plain": ("forward, host", "forward, ours plain"),
        "forward, experts on / none": ("forward, experts", "forward, no experts"),
        "forward, fp8 / ours": ("forward, fp8", "forward, experts"),
        "step, authors / ours": ("step, authors", "step, ours"),
        "clip, authors / ours": ("clip, authors", "clip, ours"),
        "decode, host / ours": ("decode, host", "decode, ours"),
        "rotation, authors / ours": ("rotation, authors", "rotation, ours"),
        "modulation, authors / ours": ("modulation, authors", "modulation, ours"),
    }
    found = {name: paired(seconds, a, b) for name, (a, b) in pairs.items() if a in seconds and b in seconds}
    if device == "cuda" and size in SIZES and "forward, ours" in seconds:
        flops = trace_ours(build_ours(), size).measures.flops
        found["part of 790 TFLOP/s"] = flops / statistics.median(seconds["forward, ours"]) / FLOOR
    return found


def _in_all(memory: dict[str, int], size: str) -> dict[str, float]:
    """GB of video memory with the weights that only make constants parked, where a GPU was measured."""
    if not memory or size not in SIZES:
        return {}
    model = build_base_model()
    beside = {"bf16": memory["ours"], "fp8": memory["ours, fp8"]}
    return {
        f"video memory, {precision}, GB": (weights(model, precision).resident + taken) / 1e9
        for precision, taken in beside.items()
    }


def judged(name: str, value: float, goals: dict[str, tuple[str, float]]) -> dict[str, Any]:
    """A ratio beside its goal."""
    sign, goal = goals.get(name, ("", None))
    ok = None if goal is None else (value >= goal if sign == ">=" else value <= goal)
    return {"name": name, "value": value, "sign": sign, "goal": goal, "ok": ok}


def peak(entry: Entry) -> int:
    """Bytes a pass takes beyond everything that lies on the GPU before it."""
    entry.run.begin()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    entry.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def hardware(device: str) -> str:
    """What this runs on."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def _difference(one: Tensor, other: Tensor) -> float:
    return (one.float() - other.float()).abs().max().item()
