"""Samples that go through the model together: which may, and how they become one forward.

Everything random is drawn per sample before, so a batch changes nothing but the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...model.inputs import ClipInputs, HoiInputs
from .sample import with_zeros
from .step import StepInputs


def groups_of(inputs: Sequence[StepInputs]) -> list[StepInputs]:
    """Inputs of one form joined, groups in the order of their first samples."""
    return [joined([inputs[place] for place in places]) for places in places_by_form(inputs)]


def places_by_form(inputs: Sequence[StepInputs]) -> list[list[int]]:
    """Places of the inputs of one form, forms in the order they come in."""
    groups: dict[Hashable, list[int]] = {}
    for place, given in enumerate(inputs):
        groups.setdefault(form_of(given), []).append(place)
    return list(groups.values())


def form_of(given: StepInputs) -> Hashable:
    """What inputs must have in common to go through the model together.

    A pose is not part of it: without one the model reads zeros, so zeros stand for it.  Nor are token masks, which
    only the loss reads, sample by sample.
    """
    clip, hoi = given.clip, given.hoi
    parts = [given.noisy, clip.audio, clip.person, clip.product, clip.motion, None if hoi is None else hoi.latents]
    shapes = tuple(None if part is None else tuple(part.shape) for part in parts)
    tokens, hoi_tokens = given.tokens
    scale = None if clip.product is None else clip.product_scale
    return shapes, tokens, scale, None if hoi is None else (hoi_tokens, hoi.mutual)


def joined(inputs: Sequence[StepInputs]) -> StepInputs:
    """Inputs of one form as one; a single one as it is."""
    first = inputs[0]
    if len(inputs) == 1:
        return first
    return StepInputs(
        noisy=_cat([given.noisy for given in inputs]),
        timestep=_cat([given.timestep for given in inputs]),
        clip=_clip([given.clip for given in inputs], first.noisy),
        hoi=None if first.hoi is None else _hoi(first.hoi, [given.hoi for given in inputs]),
        target=_cat([given.target for given in inputs]),
        hoi_target=_some([given.hoi_target for given in inputs]),
        weights=tuple(weight for given in inputs for weight in given.weights),
        masks=tuple(masks for given in inputs for masks in given.masks),
        tokens=first.tokens,
    )


def _clip(clips: Sequence[ClipInputs], like: Tensor) -> ClipInputs:
    def each(pick: Callable[[ClipInputs], Tensor | None]) -> Tensor | None:
        return _some([pick(clip) for clip in clips])

    poses = [clip.pose for clip in clips]
    posed = any(pose is not None for pose in poses)
    return replace(
        clips[0],
        context=_texts([clip.context for clip in clips]),
        audio=each(lambda clip: clip.audio),
        person=each(lambda clip: clip.person),
        product=each(lambda clip: clip.product),
        motion=each(lambda clip: clip.motion),
        pose=_cat([torch.zeros_like(like) if pose is None else pose for pose in poses]) if posed else None,
    )


def _hoi(first: HoiInputs, streams: Sequence[HoiInputs | None]) -> HoiInputs:
    there = [stream for stream in streams if stream is not None]
    return replace(
        first,
        latents=_cat([stream.latents for stream in there]),
        context=_texts([stream.context for stream in there if stream.context is not None]),
        timestep=_some([stream.timestep for stream in there]),
    )


def _texts(texts: Sequence[Tensor]) -> Tensor:
    """Texts whose zeros are left out, with as many as the longest needs none of."""
    longest = max(text.shape[1] for text in texts)
    return _cat([with_zeros(text, longest) for text in texts])


def _some(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Parts that all inputs of a form have or all lack, in one."""
    there = [part for part in parts if part is not None]
    return _cat(there) if there else None


def _cat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts))
