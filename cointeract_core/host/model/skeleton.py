"""Names and shapes of the model a state dict should fill, from the host's own classes without any memory."""

from __future__ import annotations

from functools import lru_cache

import comfy.model_detection
import torch

from ...checkpoint.header import Header
from ...errors import ModelFileError
from ..objects import UnetConfig
from .dit import CoInteractDiT

Shapes = dict[str, tuple[int, ...]]
# what the host and PyTorch raise on sizes that make no model
UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
# parts of the host's configuration that say how to keep a model, not which one it is
KEEPING = ("dtype", "extras_dtype", "image_model")


def detect_config(what: str, header: Header) -> UnetConfig:
    """The host's configuration for a base, from names and shapes under our names.

    Args:
        what: input and file, for the error.

    Raises:
        ModelFileError: the host does not take it for a Wan2.2-S2V model.
    """
    try:
        meta = {name: torch.empty(info.shape, device="meta") for name, info in header.items()}
        config: UnetConfig | None = comfy.model_detection.detect_unet_config(meta, "")
    except KeyError as error:
        raise ModelFileError(
            f"{what} lacks {error.args[0]}, but a whole Wan2.2-S2V model was expected; download it again."
        ) from error
    except UNREADABLE as error:
        raise _damaged(what) from error
    if config is None or config.get("model_type") != "s2v":
        raise ModelFileError(
            f"{what} is no Wan2.2-S2V model to this ComfyUI, but one was expected; choose another base, or update "
            "ComfyUI where the file is newer than it."
        )
    return config


def file_shapes(what: str, config: UnetConfig, **extras: object) -> Shapes:
    """The same as `model_shapes`, of a model as a file describes it.

    Raises:
        ModelFileError: no model can have such sizes.
    """
    try:
        return model_shapes(config, **extras)
    except UNREADABLE as error:
        raise _damaged(what) from error


def _damaged(what: str) -> ModelFileError:
    return ModelFileError(
        f"{what} describes a model of sizes that none can have, but a whole Wan2.2-S2V model was expected; download it "
        "again."
    )


def model_shapes(config: UnetConfig, **extras: object) -> Shapes:
    """Our names and shapes of a whole model.

    Args:
        config: the host's configuration.
        extras: `expert_hidden`, `hoi_stream`, `plain_marker` and `experts_fp8` of `CoInteractDiT`.
    """
    which = {key: value for key, value in {**config, **extras}.items() if key not in KEEPING}
    # lists come from JSON, and cannot be looked up
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in which.items()}
    return dict(_shapes_of(tuple(sorted(settings.items()))))


@lru_cache(maxsize=8)  # one load asks for three or four models of the same size, each of a thousand layers
def _shapes_of(settings: tuple[tuple[str, object], ...]) -> Shapes:
    which: UnetConfig = dict(settings)
    # torch's own layers: the host's may put off making their weights
    model = CoInteractDiT(**which, device=torch.device("meta"), operations=torch.nn)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
