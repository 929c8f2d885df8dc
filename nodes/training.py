"""Training Data and Training Settings."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..cointeract_core.constants import CLIP_TARGET_LATENTS, LORA_RANK, TRAINING_SHIFT
from ..cointeract_core.host.page.progress import show_text
from ..cointeract_core.host.train.tables import picture_of, read_training_data, table_names, table_stamp
from ..cointeract_core.training.settings.optimizer import LARGEST_BATCH, OPTIMISERS, SCHEDULES
from ..cointeract_core.training.settings.rules import row_numbers
from ..cointeract_core.training.settings.sections import (
    BAD_ROWS,
    HOI_MODES,
    LORA,
    TIMESTEP_RULES,
    TRAININGS,
    DataSettings,
)
from ..cointeract_core.training.settings.targets import TARGETS
from .inputs import chosen_size, size_inputs
from .types import CATEGORY, TrainingOptions, TrainingRows, advanced, node_schema

SUBCATEGORY = f"{CATEGORY}/training"
# inputs of the settings by section; behind a colon, what the section calls it
PLACES = {
    "model": ("train",),
    "lora": ("rank", "alpha", "targets", "experts"),
    "hoi": ("hoi_mode:mode", "switch_step"),
    "sampling": (
        "prompt_dropout", "motion_dropout", "pose_dropout", "audio_dropout", "timesteps", "shift", "logit_mean",
        "logit_std",
    ),
    "loss": ("router_loss:router", "hoi_loss:hoi", "base_weight", "hand_weight", "face_weight"),
    "optimizer": ("optimizer:name", "weight_decay", "schedule", "warmup", "clip_norm", "accumulation", "ema",
                  "batch_size"),
    "run": (
        "save_every", "keep_last", "validate_every", "sample_every", "sample_steps", "keep_hoi",
        "official_names",
    ),
}  # fmt: skip


class TrainingData(io.ComfyNode):
    """The rows to learn from, checked before anything else."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            node_id="CoInteractTrainingData",
            display_name="Training Data",
            category=SUBCATEGORY,
            description="Checks every row of a training table and shows what the model will learn from.",
            search_aliases=["cointeract dataset", "training csv", "preflight", "contact sheet"],
            inputs=[
                io.Combo.Input(
                    "table",
                    options=table_names(),
                    tooltip="A .csv file in the input folder, with its videos, pictures and sounds beside it.",
                ),
                *size_inputs("Size the model trains at."),
                io.Int.Input(
                    "latents",
                    default=CLIP_TARGET_LATENTS,
                    min=2,
                    max=60,
                    tooltip="Longest clip, in latents of 4 frames: 20 is the model's own 3.2 s. Shorter rows stay so.",
                ),
                io.Combo.Input(
                    "bad_rows",
                    options=list(BAD_ROWS),
                    default="refuse",
                    tooltip="What training does about rows with problems: refuse to start, or skip them.",
                ),
                io.String.Input(
                    "validation_rows",
                    default="",
                    tooltip="Rows to keep out of training and measure by, such as 3, 8; numbered as in a spreadsheet.",
                ),
                io.Int.Input(
                    "show_row",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="The row to show below; 0 shows the first good one.",
                ),
            ],
            outputs=[
                TrainingRows.Output(display_name="data"),
                io.Image.Output(display_name="sheet", tooltip="Frames with boxes and masks, HOI and pose beside them."),
                io.String.Output(display_name="report", tooltip="Every problem with its row, column and remedy."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, table: str, **_others: object) -> str:
        """Checks again where the table or a file it names has changed."""
        return table_stamp(table)

    @classmethod
    def execute(
        cls,
        table: str,
        size: str,
        width: int,
        height: int,
        latents: int,
        bad_rows: str,
        validation_rows: str,
        show_row: int,
    ) -> io.NodeOutput:
        """Check the table."""
        chosen, note = chosen_size(size, width, height)
        held_out = row_numbers("validation_rows", validation_rows)
        settings = DataSettings(
            table, chosen.width, chosen.height, latents=latents, bad_rows=bad_rows, validation_rows=held_out
        )
        data = read_training_data(settings, cls.hidden.unique_id)
        sheet = picture_of(data, show_row)
        report = "\n".join(filter(None, (note, data.preflight.report)))
        show_text(cls.hidden.unique_id, report)
        if sheet is None:
            return io.NodeOutput(data, None, report, ui=ui.PreviewText(report))
        return io.NodeOutput(data, sheet, report, ui=ui.PreviewImage(sheet, cls=cls))


class TrainingSettings(io.ComfyNode):
    """Everything about a run that has a good default."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        share = {"min": 0.0, "max": 1.0, "step": 0.01}
        dropouts = [
            advanced(
                io.Float.Input(
                    f"{name}_dropout", default=value, **share, tooltip=f"How often a sample goes without its {name}."
                )
            )
            for name, value in (("prompt", 0.1), ("motion", 0.4), ("pose", 0.5), ("audio", 0.1))
        ]
        losses = [
            advanced(io.Float.Input(f"{name}", default=value, min=0.0, max=1000.0, step=0.01, tooltip=tip))
            for name, value, tip in (
                ("router_loss", 0.05, "Share of the router's loss in the whole."),
                ("hoi_loss", 0.5, "Share of the HOI stream's loss in the whole."),
                ("base_weight", 1.0, "Weight of background tokens in the router's loss."),
                ("hand_weight", 10.0, "Weight of hand tokens in the router's loss."),
                ("face_weight", 10.0, "Weight of face tokens in the router's loss."),
            )
        ]
        return node_schema(
            node_id="CoInteractTrainingSettings",
            display_name="Training Settings",
            category=SUBCATEGORY,
            description="How to train; the values it starts with are the published ones.",
            search_aliases=["cointeract hyperparameters", "optimizer", "lora rank"],
            inputs=[
                io.Int.Input("rank", default=LORA_RANK, min=1, max=1024, tooltip="Size of the LoRA."),
                io.Float.Input(
                    "alpha", default=float(LORA_RANK), min=0.01, max=4096.0, step=0.01, tooltip="Rank for a scale of 1."
                ),
                io.String.Input(
                    "targets", default=", ".join(TARGETS), tooltip=f"Layers with LoRA, of {', '.join(TARGETS)}."
                ),
                io.Boolean.Input("experts", default=True, tooltip="Train router, hand expert and face expert."),
                io.Combo.Input(
                    "hoi_mode",
                    options=list(HOI_MODES),
                    default="asymmetric",
                    tooltip="The HOI stream: asymmetric leaves the video's prediction untouched (stage 2), mutual lets "
                    "it look at the stream (stage 1), two_stage does one after the other.",
                ),
                io.Int.Input(
                    "switch_step", default=0, min=0, max=10**7, tooltip="two_stage: asymmetric from this step on."
                ),
                io.Combo.Input(
                    "optimizer", options=list(OPTIMISERS), default="adamw", tooltip="Each needs its package."
                ),
                io.Float.Input("weight_decay", default=0.01, min=0.0, max=10.0, step=0.01, tooltip="Pulls to zero."),
                io.Combo.Input(
                    "schedule", options=list(SCHEDULES), default="constant", tooltip="Of the learning rate."
                ),
                io.Int.Input("warmup", default=0, min=0, max=10**6, tooltip="Steps until the full learning rate."),
                io.Float.Input("clip_norm", default=1.0, min=0.0, max=1000.0, step=0.1, tooltip="0 switches it off."),
                io.Int.Input("accumulation", default=1, min=1, max=1024, tooltip="Batches per step."),
                io.Float.Input(
                    "ema", default=0.0, min=0.0, max=0.999, step=0.001, tooltip="Average the adapter; 0 is off."
                ),
                *dropouts,
                advanced(
                    io.Combo.Input(
                        "timesteps", options=list(TIMESTEP_RULES), default="published", tooltip="How noise is drawn."
                    )
                ),
                advanced(
                    io.Float.Input(
                        "shift", default=TRAINING_SHIFT, min=0.1, max=100.0, step=0.1, tooltip="Towards more noise."
                    )
                ),
                advanced(
                    io.Float.Input("logit_mean", default=0.0, min=-10.0, max=10.0, step=0.1, tooltip="Of logit_normal.")
                ),
                advanced(
                    io.Float.Input("logit_std", default=1.0, min=0.01, max=10.0, step=0.01, tooltip="Of logit_normal.")
                ),
                *losses,
                io.Int.Input("save_every", default=100, min=0, max=10**7, tooltip="Steps between saved states."),
                io.Int.Input("keep_last", default=3, min=0, max=10**4, tooltip="States kept; 0 keeps all."),
                io.Int.Input("validate_every", default=0, min=0, max=10**7, tooltip="Needs validation rows; 0 is off."),
                io.Int.Input("sample_every", default=0, min=0, max=10**7, tooltip="Steps between videos; 0 is off."),
                io.Int.Input("sample_steps", default=20, min=1, max=1000, tooltip="Denoising steps of those videos."),
                advanced(io.Boolean.Input("keep_hoi", default=False, tooltip="Keep the HOI stream in the adapter.")),
                advanced(
                    io.Boolean.Input(
                        "official_names", default=False, tooltip="Also write the adapter under the authors' names."
                    )
                ),
                # at the end, for the page keeps a workflow's values by their places; and saved prompts are without
                io.Combo.Input(
                    "train",
                    optional=True,
                    options=list(TRAININGS),
                    default=LORA,
                    tooltip="lora leaves the base as it is; full trains every parameter and saves a new base, for "
                    "small models or a large main memory.",
                ),
                io.Int.Input(
                    "batch_size",
                    optional=True,
                    default=1,
                    min=1,
                    max=LARGEST_BATCH,
                    tooltip="Samples that go through the model together, where they have one form.",
                ),
            ],
            outputs=[TrainingOptions.Output(display_name="settings")],
        )

    @classmethod
    def execute(cls, targets: str, **values: object) -> io.NodeOutput:
        """Sort the values into sections."""
        given = {**values, "targets": [name.strip() for name in targets.split(",") if name.strip()]}
        sections = {
            section: {name.rpartition(":")[2]: given[of] for name in names if (of := name.partition(":")[0]) in given}
            for section, names in PLACES.items()
        }
        return io.NodeOutput(sections)
