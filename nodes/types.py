"""Wire types of this pack; wherever the host has a type, the host's is used."""

from __future__ import annotations

import dataclasses

from comfy_api.latest import io

CATEGORY = "CoInteract"

Person = io.Custom("COINTERACT_PERSON")
Product = io.Custom("COINTERACT_PRODUCT")
SpeechFeatures = io.Custom("COINTERACT_SPEECH")
PoseClips = io.Custom("COINTERACT_POSE")
PromptSet = io.Custom("COINTERACT_PROMPTS")
ClipContext = io.Custom("COINTERACT_CLIP")
TrainingRows = io.Custom("COINTERACT_TRAINING_DATA")
TrainingOptions = io.Custom("COINTERACT_TRAINING_SETTINGS")
VideoClips = io.Custom("COINTERACT_VIDEO")


def node_schema(**fields: object) -> io.Schema:
    """A schema without the fields the running ComfyUI does not know yet.

    Such are `search_aliases`, `essentials_category`, and `has_intermediate_output`: of a node that shows a picture or a
    text and is not there for that alone, so that it shows it again where its result was kept.
    """
    known = {field.name for field in dataclasses.fields(io.Schema)}
    return io.Schema(**{name: value for name, value in fields.items() if name in known})


def advanced(declared: io.Input) -> io.Input:
    """The same input, folded away by pages that know expert settings; older hosts have no argument for it."""
    declared.extra_dict = {**(declared.extra_dict or {}), "advanced": True}
    return declared
