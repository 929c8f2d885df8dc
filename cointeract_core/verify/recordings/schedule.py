"""Noise levels, timesteps, the experts' gate, and the noise of training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...clips.schedule import published_sigmas, timesteps
from ...model.forward import experts_on
from ...training.step.noise import add_noise, flow_target, loss_weights, training_sigmas
from .golden import Check, Golden, Info, compare, holds, same

EULER = "euler_example_steps"
ADD_NOISE = "add_noise_example_id"


def check_schedule(golden: Golden) -> Iterator[Check]:
    """Every section of a `schedule` file."""
    for name, run in golden.info["inference"].items():
        yield from _inference(name, run)
    for name, values in golden.info["training"].items():
        if name.startswith("shift"):
            yield from _training(name, values)
        elif name.startswith(ADD_NOISE):
            yield from _add_noise(name, values)
    for name, values in golden.info.items():
        if name.startswith(EULER):
            yield from _euler(name, values["trace"])


def _inference(name: str, run: Info) -> Iterator[Check]:
    sigmas = published_sigmas(run["steps"], run["shift"], run.get("denoising_strength", 1.0))
    yield holds(f"{name}: ends at 0", sigmas[-1].item() == 0.0)
    yield same(f"{name}: sigmas", sigmas[:-1], torch.tensor(run["sigmas"]))
    seen = timesteps(sigmas[:-1])
    yield same(f"{name}: timesteps", seen, torch.tensor(run["timesteps"]))
    for kind, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        theirs = run.get(f"moe_enabled_per_step_{kind}")
        if theirs is not None:
            ours = [experts_on(timestep) for timestep in seen.to(dtype).tolist()]
            yield holds(f"{name}: experts in {kind}", ours == theirs)
    if "timesteps_seen_by_model_bf16" in run:
        theirs = torch.tensor(run["timesteps_seen_by_model_bf16"])
        yield same(f"{name}: timesteps in bfloat16", seen.bfloat16().float(), theirs)


def _training(name: str, values: Info) -> Iterator[Check]:
    shift = float(name.removeprefix("shift"))
    sigmas, weights = training_sigmas(shift), loss_weights(shift)
    seen = timesteps(sigmas)
    yield same(f"{name}: sigmas", sigmas[values["ids"]], torch.tensor(values["sigmas"]))
    yield same(f"{name}: timesteps", seen[values["ids"]], torch.tensor(values["timesteps"]))
    yield compare(f"{name}: weights", weights[values["ids"]], torch.tensor(values["weights"]))
    summary = {"mean": weights.mean(), "min": weights.min(), "max": weights.max()}
    for kind, ours in summary.items():
        yield compare(f"{name}: {kind} of the weights", ours, torch.tensor(values[f"weights_{kind}"]))
    # the file's sum is float32, whose last digits depend on the order of adding; per weight it compares like the rest
    yield compare(
        f"{name}: sum of the weights, per weight", weights.mean(), torch.tensor(values["weights_sum"] / len(weights))
    )
    yield holds(f"{name}: timesteps from 900", int((seen >= 900).sum()) == values["ids_with_t_ge_900"])
    yield holds(f"{name}: largest weight", int(weights.argmax()) == values["argmax_weight_id"])
    lookup = values["bf16_lookup"]
    rounded = seen.bfloat16().float()
    nearest = (rounded[:, None] - seen[None]).abs().argmin(dim=1)
    moved = (nearest - torch.arange(len(seen))).abs()
    yield holds(f"{name}: levels moved by bfloat16", int((moved > 0).sum()) == lookup["ids_changed"])
    yield holds(f"{name}: largest move", int(moved.max()) == lookup["max_abs_id_shift"])
    yield holds(f"{name}: levels left", len(rounded.unique()) == lookup["distinct_timesteps_after_bf16"])


def _add_noise(name: str, values: Info) -> Iterator[Check]:
    level, shift = name.removeprefix(ADD_NOISE).split("_shift")
    sigma = training_sigmas(float(shift))[int(level)]
    sample, noise = torch.tensor(values["x0"]), torch.tensor(values["noise"])
    yield compare(f"{name}: noised", add_noise(sample, noise, sigma), torch.tensor(values["noisy"]))
    yield compare(f"{name}: target", flow_target(sample, noise), torch.tensor(values["target"]))


def _euler(name: str, trace: list[Info]) -> Iterator[Check]:
    steps, shift = name.removeprefix(EULER).split("_shift")
    sigmas = published_sigmas(int(steps), float(shift))
    sample: Tensor = torch.tensor(trace[0]["sample"])
    for entry in trace[1:]:
        step = entry["step"]
        sample = sample + torch.tensor(entry["model_output"]) * (sigmas[step + 1] - sigmas[step])
        yield compare(f"{name}: sample after step {step}", sample, torch.tensor(entry["sample"]))
