"""What a run leaves for generating: one adapter file, on request also under the authors' names."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...checkpoint.keys import ALPHA, EXTRAS, HOI, UP, LoraName, parse_lora
from ...checkpoint.save import save_adapter, save_tensors
from ..settings.sections import TrainSettings
from ..settings.toml import dump_toml

SAVED_DTYPE = torch.bfloat16  # the published adapter's
OFFICIAL_SUFFIX = "_official"
ARCHITECTURE = "wan-2.2-s2v-14b/cointeract-lora"
# facts of an adapter that say nothing of a whole model
OF_LORA = (
    "cointeract.rank",
    "cointeract.alpha",
    "cointeract.targets",
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
)


def save_trained(
    adapter: Mapping[str, Tensor],
    path: Path,
    settings: TrainSettings,
    *,
    step: int,
    rows: int,
    identity: Mapping[str, object],
    title: str | None = None,
) -> list[Path]:
    """Write the adapter of a run.

    LoRA goes under the names the host's own loader reads, router and experts under ours, so the file is good for both.
    The HOI stream is left out unless it should be continued.

    Args:
        adapter: LoRA, experts and HOI stream by name, from `Trainer.adapter`.
        path: of the file; existing ones are replaced in one step.
        step: steps trained.
        rows: rows trained on.
        identity: the run's fingerprint.

    Returns:
        the files written.
    """
    kept = {
        name: tensor.to(SAVED_DTYPE)
        for name, tensor in adapter.items()
        if settings.run.keep_hoi or not name.startswith(HOI)
    }
    metadata = describe(settings, step=step, rows=rows, identity=identity, title=title or path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    alpha = settings.lora.alpha
    found = [parse_lora(name) for name in kept]
    layers = [one.module for one in found if one is not None and one.part == UP]
    alphas = {LoraName(layer, ALPHA).host: torch.tensor(alpha) for layer in layers}
    written = save_tensors({**kept, **alphas}, path, metadata)
    if not settings.run.official_names:
        return [written]
    official = path.with_name(f"{path.stem}{OFFICIAL_SUFFIX}{path.suffix}")
    lora, extras = in_authors_scale(kept, alpha / settings.lora.rank)
    return [written, save_adapter(lora, extras, official, metadata)]


def in_authors_scale(adapter: Mapping[str, Tensor], scale: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """LoRA without an alpha, since the authors' programs know none, and everything else.

    Args:
        scale: alpha over rank.
    """
    extras = {name: tensor for name, tensor in adapter.items() if name.startswith(EXTRAS)}
    lora = {}
    for name in adapter.keys() - extras.keys():
        parsed = parse_lora(name)
        up = parsed is not None and parsed.part == UP
        lora[name] = (adapter[name].float() * scale).to(SAVED_DTYPE) if up else adapter[name]
    return lora, extras


def describe(
    settings: TrainSettings, *, step: int, rows: int, identity: Mapping[str, object], title: str
) -> dict[str, str]:
    """Metadata of a run's result, under the names other tools show."""
    lora, optimizer, sampling = settings.lora, settings.optimizer, settings.sampling
    facts = {
        "cointeract.rank": lora.rank,
        "cointeract.alpha": lora.alpha,
        "cointeract.targets": ",".join(lora.targets),
        "cointeract.model_hash": identity["model"],
        "cointeract.data_hash": identity["data"],
        "cointeract.steps": step,
        "cointeract.rows": rows,
        "cointeract.settings": dump_toml(settings),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": ARCHITECTURE,
        "modelspec.implementation": "https://github.com/cointeract/ComfyUI-CoInteract",
        "modelspec.title": title,
        "modelspec.date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "modelspec.prediction_type": "flow",
        "ss_network_module": "networks.lora",
        "ss_network_dim": lora.rank,
        "ss_network_alpha": lora.alpha,
        "ss_steps": step,
        "ss_max_train_steps": settings.run.steps,
        "ss_learning_rate": optimizer.learning_rate,
        "ss_optimizer": optimizer.name,
        "ss_lr_scheduler": optimizer.schedule,
        "ss_lr_warmup_steps": optimizer.warmup,
        "ss_gradient_accumulation_steps": optimizer.accumulation,
        "ss_batch_size_per_device": optimizer.batch_size,
        "ss_seed": settings.run.seed,
        "ss_num_train_images": rows,
        "ss_discrete_flow_shift": sampling.shift,
        "ss_output_name": settings.run.name,
        "ss_sd_model_name": settings.model.base,
        "ss_network_args": json.dumps({"experts": lora.experts, "hoi": settings.hoi.mode}),
    }
    return {name: str(value) for name, value in facts.items()}
