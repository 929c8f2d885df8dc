"""Load CoInteract Model."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..cointeract_core.errors import ModelFileError
from ..cointeract_core.host.files.folders import adapter_names, base_names, find_adapter, find_base
from ..cointeract_core.host.files.load_model import WEIGHT_DTYPES, load_cointeract, plan_load
from ..cointeract_core.host.page.progress import show_text
from .types import CATEGORY, advanced, node_schema

OWN_PRECISION = "own precision"
EXPERTS = {OWN_PRECISION: False, "fp8": True}


class LoadCoInteractModel(io.ComfyNode):
    """Base and adapter to a MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractLoadModel",
            display_name="Load CoInteract Model",
            category=CATEGORY,
            description="Loads Wan2.2-S2V-14B and lays the CoInteract adapter over it.",
            search_aliases=["cointeract loader", "wan s2v", "adapter"],
            has_intermediate_output=True,
            inputs=[
                io.Combo.Input(
                    "base",
                    options=base_names(),
                    tooltip="Wan2.2-S2V-14B from models/diffusion_models: one file (bf16, fp8 or scaled fp8), the "
                    "first of the published shards, or a GGUF where ComfyUI-GGUF is installed.",
                ),
                io.Combo.Input(
                    "adapter",
                    options=adapter_names(),
                    tooltip="checkpoint.safetensors, or checkpoint_pose.safetensors for pose videos, from "
                    "models/model_patches or models/loras; none for a plain or merged base.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.01,
                    tooltip="Strength of the adapter's LoRA part; router and experts are always used whole.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default="default",
                    tooltip="Precision the base is kept in. GGUF files keep theirs.",
                ),
                advanced(
                    io.Combo.Input(
                        "experts",
                        options=list(EXPERTS),
                        default=OWN_PRECISION,
                        tooltip="Precision of router and experts: that of their file, or fp8 with a scale per layer, "
                        "which saves 0.7 GB.",
                    )
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                io.String.Output(display_name="report", tooltip="How many tensors found their place."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, base: str | None = None) -> bool | str:
        """Refuse a base that cannot be used before anything in the workflow runs; only its header is read.

        The host repeats the answer for every input named here, so the adapter is checked when the node runs.  A name
        that comes from another node is not known yet, so it is None.
        """
        if base is None:
            return True
        try:
            plan_load(base, None)
        except ModelFileError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, base: str, adapter: str, **_settings: object) -> object:
        """Load again when a file was replaced."""
        chosen = find_adapter(adapter)
        return find_base(base).stamp, chosen.stamp if chosen else None

    @classmethod
    def execute(
        cls, base: str, adapter: str, strength: float, weight_dtype: str, experts: str = OWN_PRECISION
    ) -> io.NodeOutput:
        """Load the model."""
        loaded = load_cointeract(
            base, adapter, strength=strength, weight_dtype=weight_dtype, experts_fp8=EXPERTS[experts]
        )
        show_text(cls.hidden.unique_id, loaded.report)
        return io.NodeOutput(loaded.patcher, loaded.report, ui=ui.PreviewText(loaded.report))
