"""Inputs that more than one node has, declared once."""

from __future__ import annotations

from comfy_api.latest import io

from ..cointeract_core.shapes import VideoSize, snap_size
from .types import Person, PoseClips, Product, PromptSet, SpeechFeatures, advanced

CUSTOM = "custom"
PRESETS = {
    "480x832 portrait": (480, 832),
    "720x1280 portrait": (720, 1280),
    "832x480 landscape": (832, 480),
    "1280x720 landscape": (1280, 720),
}
USUAL = "480x832 portrait"


def size_inputs(what: str) -> list[io.Input]:
    """A size by name, and the sides of a custom one; `chosen_size` reads them.

    Args:
        what: sentence that says what the size is of.
    """
    width, height = PRESETS[USUAL]
    sides = {"min": 16, "max": 8192, "step": 16, "tooltip": "Used where size is custom; snaps to 16."}
    return [
        io.Combo.Input(
            "size",
            options=[*PRESETS, CUSTOM],
            default=USUAL,
            tooltip=f"{what} Choose custom to use the width and height below.",
        ),
        io.Int.Input("width", default=width, **sides),
        io.Int.Input("height", default=height, **sides),
    ]


def chosen_size(size: str, width: int, height: int) -> tuple[VideoSize, str | None]:
    """The size that `size_inputs` stand for, and a note where it had to be another one.

    Raises:
        InputError: see `snap_size`.
    """
    return snap_size(*PRESETS.get(size, (width, height)))


def scene_inputs() -> list[io.Input]:
    """Inputs that say what a video is made from."""
    return [
        Person.Input("person", tooltip="From Person Reference; it also sets the size."),
        SpeechFeatures.Input("speech", tooltip="From Speech Encoder; it also sets the length."),
        PromptSet.Input("prompts", tooltip="From Prompts."),
        Product.Input("product", optional=True, tooltip="From Product Reference."),
        PoseClips.Input("pose", optional=True, tooltip="From Pose Encoder."),
    ]


def speech_to_face_input() -> io.Input:
    """Whether speech is kept to the face."""
    return advanced(
        io.Boolean.Input(
            "speech_to_face",
            default=False,
            tooltip="Let the speech move only what the model's router takes for a face.",
        )
    )


def transparency_input() -> io.Input:
    """What Load Image takes off a picture."""
    return io.Mask.Input(
        "transparency",
        optional=True,
        tooltip="The MASK of the Load Image that gives the picture, as it comes: white where the picture is "
        "transparent. Where nothing is wired, and the picture comes straight from Load Image, the file itself is "
        "asked.",
    )
