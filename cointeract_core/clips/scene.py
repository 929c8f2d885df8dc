"""Put the parts of a video together, after checking that they belong together."""

from __future__ import annotations

from dataclasses import replace

from ..conditioning.prompts import prompts_for
from ..errors import InputError
from ..shapes import VideoSize
from .parts import ClipScene, PersonReference, Pose, ProductReference, Prompts, Speech


def build_scene(
    person: PersonReference,
    speech: Speech,
    prompts: Prompts,
    product: ProductReference | None = None,
    pose: Pose | None = None,
) -> tuple[ClipScene, list[str]]:
    """The scene and notes for the user.

    Raises:
        InputError: product or pose were made for another size, or the pose for another number of clips.
    """
    clips = len(speech.plan.clips)
    if product is not None:
        _same_size("product", VideoSize.of_latent(*product.latent.shape[-2:]), person.size)
    if pose is not None:
        _same_size("pose", pose.size, person.size)
        if len(pose.clips) != clips:
            raise InputError(
                f"pose covers {len(pose.clips)} clips, but the speech makes {clips}; "
                "wire the same Speech Encoder into the Pose Encoder and the sampler."
            )
    indices, warning = prompts_for(len(prompts.positive), clips)
    plan = replace(
        speech.plan,
        clips=tuple(replace(clip, prompt=prompt) for clip, prompt in zip(speech.plan.clips, indices, strict=True)),
    )
    scene = ClipScene(person, replace(speech, plan=plan), prompts, product, pose)
    return scene, [warning] if warning else []


def _same_size(name: str, size: VideoSize, person: VideoSize) -> None:
    if size != person:
        raise InputError(
            f"{name} was prepared at {size}, but the person reference is {person}; wire the same Person Reference "
            "into both."
        )
