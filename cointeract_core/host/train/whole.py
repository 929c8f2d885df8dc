"""What can be trained whole: whether a base and what is over it can, said before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from ...checkpoint.header import read_headers
from ...errors import ModelFileError
from ..files.load_model import LoadPlan

TRAINABLE = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}  # by the names of safetensors


def check_whole(plan: LoadPlan, saved_as: Path) -> None:
    """Whether every parameter of a base can be trained.

    Args:
        saved_as: where the run will write its own base.

    Raises:
        ModelFileError: it is quantised, has LoRA over it, or would be written over.
    """
    if plan.adapter is not None and plan.adapter_file is not None and plan.adapter.lora:
        layers = len({name.rpartition(".lora")[0] for name in plan.adapter.lora.values()})
        raise ModelFileError(
            f"{plan.adapter_file.what} brings LoRA for {layers} layers, but with model.train full every parameter of "
            "the base itself is trained; choose none as adapter, or train lora."
        )
    advice = f"choose one in {', '.join(TRAINABLE.values())}, or train lora"
    if plan.base.is_gguf:
        raise ModelFileError(
            f"{plan.base.what} is a GGUF, whose weights are quantised, but model.train full needs weights that can "
            f"take small steps; {advice}."
        )
    dtypes = {info.dtype for info in read_headers(list(plan.base.paths), "base").values()}
    quantised = sorted(dtypes - TRAINABLE.keys())
    if quantised:
        raise ModelFileError(
            f"{plan.base.what} holds weights in {', '.join(quantised)}, but model.train full needs weights that can "
            f"take small steps; {advice}."
        )
    if saved_as.exists() and any(path.samefile(saved_as) for path in plan.base.paths):
        raise ModelFileError(
            f"{plan.base.what} is where this run would write its own base, but the one it starts from is needed to "
            "resume; choose another run.name."
        )
