"""The comparison itself: who runs in which case, medians over rounds, ratios beside their goals."""

from __future__ import annotations

import datetime
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cointeract_core.constants import CLIP_TARGET_LATENTS, EXPERT_HIDDEN, TEXT_TOKENS
from .contest import Contest, Entry, Size
from .memory14b import build_base_model, weights
from .micro import micro_cases
from .model14b import BACKBONE, SIZES, build_ours, trace_ours
from .reference import Reference

# on a CPU: a width whose heads are those of the model, and few tokens, so that nine rounds take some minutes
SMALL_MODEL = {
    **BACKBONE,
    "dim": 1024,
    "ffn_dim": 2816,
    "num_heads": 8,
    "num_layers": 6,
    "text_dim": 256,
    "audio_dim": 128,
    "audio_inject_layers": [0, 2, 5],
}
SMALL = Size(SMALL_MODEL, 64, (16, 12), CLIP_TARGET_LATENTS, 32)
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


@dataclass(frozen=True)
class Case:
    """Something that is timed."""

    name: str
    run: Callable[[int], Any]  # with the number of the round


def size_of(name: str) -> Size:
    """A model and a clip by name."""
    if name == "small":
        return SMALL
    return Size(BACKBONE, EXPERT_HIDDEN, SIZES[name], CLIP_TARGET_LATENTS, TEXT_TOKENS)


def compare(
    checkout: Path, size: str, device: str, rounds: int, cases: list[str], say: Callable[[str], Any]
) -> dict[str, Any]:
    """Everything `compare.py` prints."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    contest = Contest(Reference(checkout), size_of(size), device, dtype)
    authors, ours, plain, host = contest.authors(), contest.ours(), contest.ours(experts=False), contest.host()
    routed_off, fp8 = contest.ours(experts=False, product=True), contest.ours_fp8()
    difference = _difference(authors.forward(), ours.forward())
    seconds: dict[str, list[float]] = {}
    for group in _groups(cases, authors, ours, plain, host, routed_off, fp8):
        say(f"timing {', '.join(case.name for case in group)}\n")
        seconds |= time_in_turn(group, rounds, device)
    repeats = [abs(paired(seconds, name, f"{name} again") - 1) for name in seconds if f"{name} again" in seconds]
    memory = {entry.name: peak(entry) for entry in (authors, ours, fp8, host)} if device == "cuda" else {}
    ratios = _ratios(seconds, size, device) | _in_all(memory, size)
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "what": f"{size}, {dtype}, {rounds} rounds",
        "difference": difference,
        "allowed": ALLOWED[dtype],
        "times": {name: _summary(found) for name, found in seconds.items()},
        "ratios": [judged(name, value, GOALS.get((device, size), {})) for name, value in ratios.items()],
        "memory": {f"peak beside the weights, {name}": value for name, value in memory.items()},
        "repeat": max(repeats, default=0.0),
        "noisy": max(repeats, default=0.0) > NOISY,
        "ok": difference <= ALLOWED[dtype],
    }


def _groups(
    cases: list[str], authors: Entry, ours: Entry, plain: Entry, host: Entry, off: Entry, fp8: Entry
) -> list[list[Case]]:
    """What is timed in turn."""
    groups = []
    if "forward" in cases:

        def forwards(timestep: float, entries: dict[str, Entry]) -> list[Case]:
            # other latents and another time in every round, so that nothing of the last one can be reused
            return [
                Case(name, lambda r, entry=entry: entry.forward(timestep - r, seed=r))
                for name, entry in entries.items()
            ]

        routed = {"forward, authors": authors, "forward, ours": ours, "forward, authors again": authors}
        groups.append(forwards(500.0, {**routed, "forward, ours without experts": off, "forward, ours fp8": fp8}))
        groups.append(forwards(500.0, {"forward, host": host, "forward, ours plain": plain}))
        groups.append(forwards(980.0, {"forward from 900, authors": authors, "forward from 900, ours": ours}))
    for case, names in (("step", ("step, authors", "step, ours")), ("clip", ("clip, authors", "clip, ours"))):
        if case in cases:
            runs = [
                Case(name, lambda r, e=entry, c=case: e.step(500.0 - r, seed=r) if c == "step" else e.clip(STEPS))
                for name, entry in zip(names, (authors, ours), strict=True)
            ]
            groups.append(runs)
    return [*groups, *micro_cases(ours, authors)]


def time_in_turn(cases: list[Case], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every case in every round, after one round to warm up."""
    seconds: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            _finish(device)
            begun = time.perf_counter()
            case.run(number)
            _finish(device)
            if number:
                seconds[case.name].append(time.perf_counter() - begun)
    return seconds


def paired(seconds: dict[str, list[float]], one: str, other: str) -> float:
    """Median over rounds of the ratio within a round, which a machine that slows down in between does not bend."""
    return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))


def _summary(seconds: list[float]) -> dict[str, float]:
    middle = statistics.median(seconds)
    return {"median": middle, "spread": (max(seconds) - min(seconds)) / middle}


def _ratios(seconds: dict[str, list[float]], size: str, device: str) -> dict[str, float]:
    pairs = {
        "forward, authors / ours": ("forward, authors", "forward, ours"),
        "forward, ours / authors": ("forward, ours", "forward, authors"),
        "forward from 900, authors / ours": ("forward from 900, authors", "forward from 900, ours"),
        "forward, host / ours, plain": ("forward, host", "forward, ours plain"),
        "forward, experts on / none": ("forward, ours", "forward, ours without experts"),
        "forward, ours fp8 / ours": ("forward, ours fp8", "forward, ours"),
        "step, authors / ours": ("step, authors", "step, ours"),
        "clip, authors / ours": ("clip, authors", "clip, ours"),
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


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _difference(one: Tensor, other: Tensor) -> float:
    return (one.float() - other.float()).abs().max().item()
