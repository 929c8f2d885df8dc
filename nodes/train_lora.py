"""CoInteract Train LoRA."""

from __future__ import annotations

from collections.abc import Mapping

from comfy_api.latest import io, ui

from ..cointeract_core.host.files.folders import adapter_names, base_names, encoder_names
from ..cointeract_core.host.train import tables
from ..cointeract_core.host.train.results import curves_picture
from ..cointeract_core.host.train.session import plan_run, run_training
from ..cointeract_core.training.settings.memory_modes import MEMORY_MODES
from ..cointeract_core.training.settings.rules import number_in
from ..cointeract_core.training.settings.sections import BASE_DTYPES
from ..cointeract_core.training.settings.toml import with_sections
from .training import SUBCATEGORY
from .types import TrainingOptions, TrainingRows, node_schema


class TrainLora(io.ComfyNode):
    """One training run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractTrainLora",
            display_name="CoInteract Train LoRA",
            category=SUBCATEGORY,
            description="Trains LoRA, router and experts, or the whole model, with the HOI stream beside; it loads its "
            "own models.",
            search_aliases=["cointeract training", "fine-tune", "hoi", "lora trainer"],
            inputs=[
                TrainingRows.Input("data", tooltip="From Training Data."),
                TrainingOptions.Input(
                    "settings", optional=True, tooltip="From Training Settings; without it, the published values."
                ),
                io.String.Input(
                    "name",
                    default="my_product",
                    tooltip="Name of the run: of its folder in output/CoInteract/train and of the adapter in "
                    "models/loras/CoInteract (of a whole model, of the base in models/diffusion_models/CoInteract).",
                ),
                io.Int.Input("steps", default=1000, min=1, max=10**7, tooltip="Steps in all; raise it to train on."),
                io.String.Input(  # number widgets of the page round such small numbers
                    "learning_rate",
                    default="1e-5",
                    tooltip="1e-5 is the published value for many videos; 1e-4 is usual for a few.",
                ),
                io.Int.Input("run_seed", default=0, min=0, max=2**63 - 1, tooltip="Same seed, same run."),
                io.Combo.Input(
                    "memory",
                    options=list(MEMORY_MODES),
                    default="80gb",
                    tooltip="The card to fit into; smaller ones take longer. none keeps everything and is for tests.",
                ),
                io.Boolean.Input("resume", default=True, tooltip="Go on where a run of this name was stopped."),
                io.Combo.Input("base", options=base_names(), tooltip="Wan2.2-S2V-14B, in any form the loader takes."),
                io.Combo.Input(
                    "adapter", options=adapter_names(), tooltip="Start from this adapter; none starts from the base."
                ),
                io.Combo.Input(
                    "base_dtype",
                    options=list(BASE_DTYPES),
                    default="default",
                    tooltip="Precision the frozen base is kept in; fp8_e4m3fn halves a bf16 file.",
                ),
                io.Combo.Input("vae", options=encoder_names("vae"), tooltip="wan_2.1_vae.safetensors."),
                io.Combo.Input(
                    "text_encoder", options=encoder_names("text_encoders"), tooltip="umT5-XXL, as in the ad workflow."
                ),
                io.Combo.Input(
                    "audio_encoder",
                    options=encoder_names("audio_encoders"),
                    tooltip="wav2vec2-large-xlsr-53-chinese-zh-cn, as in the ad workflow.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="adapter", tooltip="The new adapter, or base, as the loaders list it."),
                io.Image.Output(display_name="curves", tooltip="The curves of the whole run."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        data: tables.TrainingData,
        name: str,
        steps: int,
        learning_rate: str,
        run_seed: int,
        memory: str,
        resume: bool,
        base: str,
        adapter: str,
        base_dtype: str,
        vae: str,
        text_encoder: str,
        audio_encoder: str,
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> io.NodeOutput:
        """Train."""
        own: dict[str, dict[str, object]] = {
            "model": {
                "base": base, "adapter": adapter, "base_dtype": base_dtype, "vae": vae, "text_encoder": text_encoder,
                "audio_encoder": audio_encoder,
            },
            "run": {"name": name, "steps": steps, "seed": run_seed, "resume": resume},
            "optimizer": {"learning_rate": number_in("learning_rate", learning_rate)},
            "memory": {"mode": memory},
        }  # fmt: skip
        plan = plan_run(with_sections(settings or {}, own, data.settings), data.preflight)
        finished = run_training(plan, node_id=cls.hidden.unique_id)
        picture = curves_picture(finished.folder)
        return io.NodeOutput(finished.name, picture, ui=ui.PreviewImage(picture, cls=cls))
