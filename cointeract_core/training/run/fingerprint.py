"""What must stay the same for a run to be resumed, and what of it has changed."""

from __future__ import annotations

from collections.abc import Mapping

from ..settings.sections import TrainSettings
from ..settings.toml import plain_values

# these may change on the way: they decide how long and how the run is watched, not what a step computes
FREE = {
    "run": {
        "steps", "save_every", "keep_last", "validate_every", "sample_every", "sample_steps", "resume", "keep_hoi",
        "official_names",
    },
    "data": {"bad_rows", "table"},  # what is in the rows counts, not where they lie
    "memory": {"mode"},
    "model": {"base", "adapter", "vae", "text_encoder", "audio_encoder"},  # likewise
}  # fmt: skip

# settings that came later, and what runs begun before did
LATER = {"model.train": "lora", "model.compute_dtype": "default"}
OF_LORA = ("lora.rank", "lora.alpha", "lora.targets")


def fingerprint(settings: TrainSettings, *, data_stamp: str, model_stamp: str, processes: int = 1) -> dict[str, object]:
    """Identity of a run.

    Args:
        data_stamp: hash of all encoded rows.
        model_stamp: hash of base and adapter.
        processes: each takes its own samples of a step, so their number counts as accumulation does.
    """
    kept: dict[str, object] = {}
    for section, values in plain_values(settings).items():
        kept |= {f"{section}.{key}": value for key, value in values.items() if key not in FREE.get(section, ())}
    if settings.optimizer.schedule != "constant":
        kept["run.steps"] = settings.run.steps  # the rate of every step follows from it
    for name in ("optimizer.accumulation", "optimizer.batch_size", *(OF_LORA if settings.model.whole else ())):
        del kept[name]  # the first two count as samples
    kept = {name: value for name, value in kept.items() if name not in LATER or value != LATER[name]}
    samples = settings.optimizer.samples * processes
    return {**kept, "samples per step": samples, "data": data_stamp, "model": model_stamp}


def differences(saved: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """What differs, such as ``optimizer.learning_rate was 1e-05 and is 0.0001``; empty where a run may go on."""
    found = []
    for name in {**saved, **now}:
        before, after = (told.get(name, LATER.get(name)) for told in (saved, now))
        if name in OF_LORA and (name in saved) != (name in now):
            continue  # model.train says it
        if before != after:
            # hashes say nothing to a reader
            found.append(f"{name} is another" if name in ("data", "model") else f"{name} was {before} and is {after}")
    return found
