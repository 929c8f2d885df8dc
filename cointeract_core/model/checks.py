"""Whether the conditions of a forward fit its target, asked before anything is computed."""

from __future__ import annotations

from torch import Tensor

from ..constants import LATENT_CHANNELS, PATCH, TEMPORAL_STRIDE
from ..errors import InputError
from .hoi import HoiStream
from .inputs import ClipInputs, Dit, HoiInputs

SMALLEST = 8  # latent cells per side: the coarsest motion kernel


def check_inputs(dit: Dit, latents: Tensor, clip: ClipInputs, hoi: HoiInputs | None) -> None:
    """Compare every condition with the target `[B, 16, F, H, W]`.

    Raises:
        InputError: a condition of another size, or one the model has no part for.
    """
    batch, _, count, rows, columns = latents.shape
    if rows % PATCH or columns % PATCH:
        raise InputError(f"The target has {rows}x{columns} latent cells, but even numbers are expected; pad it.")
    if clip.motion is not None and min(rows, columns) < SMALLEST:
        raise InputError(
            f"The target has {rows}x{columns} latent cells, but motion frames need at least {SMALLEST} per side; "
            "choose a larger video."
        )
    expected = {"person": 1, "product": 1, "motion": None, "pose": count}
    for name, wanted in expected.items():
        _check_latents(name, getattr(clip, name), latents, wanted)
    _check_batch("text", clip.context, batch)
    if clip.audio is not None:
        _check_batch("audio", clip.audio, batch)
        if clip.audio.shape[-1] < count * TEMPORAL_STRIDE:
            raise InputError(
                f"The audio has {clip.audio.shape[-1]} frames, but {count} latents need {count * TEMPORAL_STRIDE}; "
                "pad the speech."
            )
    if clip.face_mask is not None:
        _check_face_mask(dit, clip.face_mask, batch, count * (rows // PATCH) * (columns // PATCH))
    if hoi is not None:
        hoi_stream(dit)
        _check_latents("HOI", hoi.latents, latents, None)


def hoi_stream(dit: Dit) -> HoiStream:
    """The HOI stream of a model that is given HOI latents.

    Raises:
        InputError: the model has none.
    """
    if dit.hoi is None:
        raise InputError("HOI latents were given, but the model has no HOI stream; load an adapter that has one.")
    return dit.hoi


def _check_latents(name: str, given: Tensor | None, target: Tensor, count: int | None) -> None:
    if given is None:
        return
    size = tuple(target.shape[-2:])
    wrong = given.ndim != 5 or given.shape[1] != LATENT_CHANNELS or tuple(given.shape[-2:]) != size
    if wrong or (count is not None and given.shape[2] != count) or not given.shape[2]:
        wanted = "some" if count is None else count
        raise InputError(
            f"The {name} latents have the shape {list(given.shape)}, but {LATENT_CHANNELS} channels, {wanted} latents "
            f"and the target's {size[0]}x{size[1]} cells are expected; encode them at the video's size."
        )
    _check_batch(name, given, target.shape[0])


def _check_batch(name: str, given: Tensor, batch: int) -> None:
    if given.shape[0] not in (1, batch):
        raise InputError(
            f"The {name} is a batch of {given.shape[0]}, but 1 or {batch} is expected; pass one per sample."
        )


def _check_face_mask(dit: Dit, mask: Tensor | str, batch: int, tokens: int) -> None:
    if isinstance(mask, str):
        if mask != "router":
            raise InputError(f'The face mask is "{mask}", but "router" or a mask of the target\'s tokens is expected.')
        if dit.experts is None:
            raise InputError(
                "The face mask is to come from the router, but the model has no experts; load a CoInteract adapter."
            )
        return
    if mask.shape[-1] != tokens or mask.ndim != 2:
        raise InputError(f"The face mask has the shape {list(mask.shape)}, but [{batch}, {tokens}] is expected.")
    _check_batch("face mask", mask, batch)
