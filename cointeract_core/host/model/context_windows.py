"""ComfyUI's context windows: each runs the model over some of a clip's latents, and must hear and see their own part.

ComfyUI cuts conditions that have as many latents as the clip; from version to version it cuts others.  Speech counts
frames and never fits, so the choice is made here, in the forward, from the window itself.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...constants import TEMPORAL_STRIDE
from ...errors import InputError
from ...model.inputs import ClipInputs
from ...model.parts import Options
from ...shapes import VideoSize

TIME = 2  # dimension of latents [B, 16, F, h, w]
HANDLER, WINDOW = "context_handler", "context_window"  # in the host's model and transformer options
# conditions a window sees whole, or that `in_window` cuts
WHOLE = ("audio_embed", "reference_latent", "reference_motion", "product_latent", "face_mask")


def check_handler(model_options: dict[str, Options]) -> None:
    """Refuse context windows over anything but time, before a run.

    Raises:
        InputError: windows over the picture or the batch.
    """
    handler = model_options.get(HANDLER)
    if handler is not None:
        _check_dimension(getattr(handler, "dim", TIME))


def in_window(clip: ClipInputs, latents: Tensor, options: Options) -> ClipInputs:
    """The clip's conditions as the window in hand needs them; all of them outside of windows.

    Args:
        latents: of the window, `[B, 16, F, h, w]`.
        options: the host's transformer options.

    Raises:
        InputError: a window over anything but time, or of a kind that does not say which latents it takes.
    """
    window = options.get(WINDOW)
    if window is None:
        return clip
    _check_dimension(getattr(window, "dim", TIME))
    chosen = list(getattr(window, "index_list", ()))
    anchor = getattr(window, "causal_anchor_index", None)  # one before the window, on newer hosts
    if anchor is not None and anchor >= 0:
        chosen.insert(0, anchor)
    count = latents.shape[TIME]
    if len(chosen) != count:
        raise InputError(
            f"A context window names {len(chosen)} latents, but {count} arrived; use ComfyUI's own context window "
            "nodes, or none."
        )
    return replace(
        clip, audio=_speech(clip.audio, chosen), pose=_pose(clip.pose, chosen), face_mask=_mask(clip, chosen, latents)
    )


def _check_dimension(dimension: int) -> None:
    if dimension != TIME:
        raise InputError(
            f"Context windows are set to dim {dimension}, but CoInteract takes them over time only, which is dim "
            f"{TIME}; use WAN Context Windows (Manual)."
        )


def _speech(audio: Tensor | None, chosen: list[int]) -> Tensor | None:
    """Features `[B, 25, audio_dim, >= 4F]` of the chosen latents, four a latent."""
    if audio is None:
        return None
    frames = torch.tensor([TEMPORAL_STRIDE * latent + part for latent in chosen for part in range(TEMPORAL_STRIDE)])
    if int(frames.max()) >= audio.shape[-1]:
        raise InputError(
            f"A context window needs {int(frames.max()) + 1} frames of speech, but the clip has {audio.shape[-1]}; use "
            "Clip Conditioning's own latent."
        )
    return audio.index_select(-1, frames.to(audio.device))


def _pose(pose: Tensor | None, chosen: list[int]) -> Tensor | None:
    """Pose latents of the chosen ones; newer hosts have cut them already."""
    if pose is None or pose.shape[TIME] == len(chosen):
        return pose
    return pose.index_select(TIME, torch.tensor(chosen, device=pose.device))


def _mask(clip: ClipInputs, chosen: list[int], latents: Tensor) -> Tensor | str | None:
    """A mask over target tokens, for the chosen latents."""
    mask = clip.face_mask
    if not isinstance(mask, Tensor):
        return mask
    size = VideoSize.of_latent(*latents.shape[-2:])
    tokens = size.token_rows * size.token_columns
    if mask.shape[-1] == tokens * len(chosen):
        return mask
    by_latent: Tensor = mask.unflatten(-1, (-1, tokens))
    return by_latent.index_select(-2, torch.tensor(chosen, device=mask.device)).flatten(-2)
