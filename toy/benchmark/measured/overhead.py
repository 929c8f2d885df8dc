"""What the HOI stream costs at inference: the same bits without it, and the time of a pass, measured in one run.

Four forms of one model answer the same question in turns: `removed` is loaded from a file without the stream's parts,
`loaded` from the file with them, which are left out as by Load CoInteract Model, `asymmetric` runs the stream beside
the video as in training, `mutual` lets the video see it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_text
from ...generation import Sampling
from ...held_out import TEST
from .host import model_in_training
from .joint import Streams, flow_of
from .judge import agreement
from .rows import in_scale, read_scenes

if TYPE_CHECKING:
    from torch import Tensor

    from cointeract_pack.cointeract_core.host.train.model import TrainingModel
    from cointeract_pack.cointeract_core.training.step.sample import TrainingSample

REMOVED, LOADED, ASYMMETRIC, MUTUAL = "removed", "loaded", "asymmetric", "mutual"
SIGMAS = (0.95, 0.6, 0.2)  # noise levels that are asked about: experts take no part in the first
WITHOUT = "CoInteract/proof_without_hoi.safetensors"
RESULT = "overhead.json"
SEED = 20261129  # of the noise
STEPS = 4  # of the clip by which the loop that keeps the stream is held against the pack's sampler


@dataclass(frozen=True, slots=True)
class Form:
    """One of the four: a model, and whether the stream runs in it."""

    model: TrainingModel
    hoi: bool
    mutual: bool = False

    def answer(self, sample: TrainingSample, streams: Streams, sigma: float) -> Tensor:
        """Flow of the video."""
        given = streams if self.hoi else Streams(streams.video, None)
        return flow_of(self.model, sample, given, sigma, mutual=self.mutual).video


def overhead(folder: Path, models: Path, name: str, rounds: int) -> dict[str, Any]:
    """Compare the four forms, and keep what comes out as `overhead.json`.

    Args:
        folder: of the proof, with its scenes.
        models: the folder ComfyUI lists transformers from.
        name: of a model that was trained with the HOI stream and kept it, as ComfyUI lists it.
        rounds: of timing; in each every form runs once.

    Raises:
        ValueError: the file has no HOI stream, or its model answers nothing but zeros.
    """
    import torch

    _write_without(models / name, models / WITHOUT)
    trained = model_in_training(name, hoi=True)
    forms = {
        REMOVED: Form(model_in_training(WITHOUT, hoi=False), hoi=False),
        LOADED: Form(model_in_training(name, hoi=False), hoi=False),
        ASYMMETRIC: Form(trained, hoi=True),
        MUTUAL: Form(trained, hoi=True, mutual=True),
    }
    held = read_scenes(folder, TEST, 1)[0]
    sample = in_scale(held, trained.patcher.model.latent_format.process_in)
    generator = torch.Generator().manual_seed(SEED)
    video, hoi = (torch.randn(sample.alone.shape, generator=generator) for _ in range(2))
    streams = Streams(video, hoi)
    with torch.no_grad():
        differences = _differences(forms, sample, streams)
        seconds = _timed({kind: _pass(form, sample, streams) for kind, form in forms.items()}, rounds)
    found = {
        "model": name,
        "rounds": rounds,
        "largest_difference": differences,
        "joint_loop": agreement(name, held, Sampling(STEPS, seed=0)),
        "bit_equal": {kind: difference == 0.0 for kind, difference in differences.items()},
        "milliseconds": {kind: 1000 * statistics.median(times) for kind, times in seconds.items()},
        "time_ratio": {kind: _ratio(times, seconds[REMOVED]) for kind, times in seconds.items()},
    }
    write_text(folder / RESULT, json.dumps(found, indent=1) + "\n")
    return found


def _write_without(file: Path, place: Path) -> None:
    from safetensors.torch import load_file

    from cointeract_pack.cointeract_core.checkpoint.keys import HOI
    from cointeract_pack.cointeract_core.checkpoint.save import save_tensors

    state = load_file(file)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(HOI)}
    if len(kept) == len(state):
        raise ValueError(
            f"{file.name} has no HOI stream, but one that was trained with it is expected; run the cell "
            "hoi_asymmetric first, or name another with --model."
        )
    save_tensors(kept, place)


def _differences(forms: dict[str, Form], sample: TrainingSample, streams: Streams) -> dict[str, float]:
    """Largest difference of each form's answers from those without the stream's parts."""
    found: dict[str, list[float]] = {kind: [] for kind in forms}
    for sigma in SIGMAS:
        answers = {kind: form.answer(sample, streams, sigma) for kind, form in forms.items()}
        if not answers[REMOVED].any():
            raise ValueError(
                "The model answers nothing but zeros, as before any training, so equal bits would say nothing; name "
                "a trained one with --model."
            )
        for kind, answer in answers.items():
            found[kind].append(float((answer - answers[REMOVED]).abs().max()))
    return {kind: max(differences) for kind, differences in found.items()}


def _pass(form: Form, sample: TrainingSample, streams: Streams) -> Callable[[], object]:
    return lambda: form.answer(sample, streams, SIGMAS[1])


def _timed(passes: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each pass in each round; the order turns by one from round to round, and the first is not counted."""
    names = list(passes)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            begin = time.perf_counter()
            passes[name]()  # its answer is fetched to the CPU, so a card has finished
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def _ratio(times: list[float], others: list[float]) -> dict[str, float]:
    """Of the times of the same rounds: the median and the quartiles."""
    ratios = [one / other for one, other in zip(times, others, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return {"median": middle, "low": low, "high": high}
