"""The nodes of the pack: each declares, checks what only it can know, calls the core and wraps what comes back."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .conditioning import PoseEncoder, PromptEncoder, SpeechEncoder
from .loaders import LoadCoInteractModel
from .lora import LoadCoInteractLora
from .references import PersonReference, ProductReference
from .sampling import ClipConditioning, Decode, DecodeClip, Sampler
from .train_lora import TrainLora
from .training import TrainingData, TrainingSettings

NODES: list[type[io.ComfyNode]] = [
    LoadCoInteractModel,
    LoadCoInteractLora,
    PersonReference,
    ProductReference,
    SpeechEncoder,
    PoseEncoder,
    PromptEncoder,
    Sampler,
    Decode,
    ClipConditioning,
    DecodeClip,
    TrainingData,
    TrainingSettings,
    TrainLora,
]


class CoInteractExtension(ComfyExtension):
    """What the host asks for when it loads the pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return NODES
