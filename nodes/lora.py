"""Load CoInteract LoRA."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..cointeract_core.host.files.add_lora import add_lora
from ..cointeract_core.host.files.folders import find_lora, lora_names
from ..cointeract_core.host.objects import Patcher
from ..cointeract_core.host.page.progress import show_text
from .types import CATEGORY, node_schema


class LoadCoInteractLora(io.ComfyNode):
    """A LoRA over the MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractLoadLora",
            display_name="Load CoInteract LoRA",
            category=CATEGORY,
            description="Lays a LoRA over the model, whatever names its file has, and says what matched.",
            search_aliases=["cointeract lora", "diffsynth lora", "style", "distill"],
            has_intermediate_output=True,
            inputs=[
                io.Model.Input("model", tooltip="From Load CoInteract Model."),
                io.Combo.Input("lora", options=lora_names(), tooltip="A LoRA for Wan 14B from models/loras."),
                io.Float.Input("strength", default=1.0, min=-20.0, max=20.0, step=0.01, tooltip="0 leaves it out."),
            ],
            outputs=[
                io.Model.Output(display_name="model"),
                io.String.Output(display_name="report", tooltip="What matched, and what did not."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, lora: str, **_settings: object) -> object:
        """Load again when the file was replaced."""
        return find_lora(lora).stamp

    @classmethod
    def execute(cls, model: Patcher, lora: str, strength: float) -> io.NodeOutput:
        """Apply the LoRA."""
        patched, report = add_lora(model, lora, strength)
        show_text(cls.hidden.unique_id, report)
        return io.NodeOutput(patched, report, ui=ui.PreviewText(report))
