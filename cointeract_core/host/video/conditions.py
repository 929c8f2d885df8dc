"""What one clip is sampled from: its scene as the host's CONDITIONING, under the names the host and our model know."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...clips.parts import ClipScene
from ...clips.plan import ClipPlan
from ...conditioning.speech import clip_window
from ...constants import CLIP_TARGET_LATENTS, LATENT_CHANNELS
from ..model.base_model import FACE_MASK, PRODUCT, PRODUCT_SCALE
from ..objects import Conditioning


@dataclass(frozen=True, slots=True)
class ClipConditions:
    """Positive and negative CONDITIONING of one clip, and the empty latent to sample into."""

    positive: Conditioning
    negative: Conditioning
    latent: Tensor


def clip_conditions(
    scene: ClipScene, plan: ClipPlan, motion: Tensor | None, *, speech_to_face: bool = False
) -> ClipConditions:
    """Conditions of clip `plan`.

    The negative differs in its prompt and in its audio, which is multiplied by 0; references, motion and pose are the
    same (PIPE:996, 1709).

    Args:
        scene: references, speech, pose and prompts.
        plan: which clip.
        motion: motion latents `[1, 16, 19, h, w]`, or None for the first clip.
        speech_to_face: keep the influence of speech to tokens the router calls face.
    """
    audio = clip_window(scene.speech.features, plan.index, scene.speech.reference_behaviour)
    values: dict[str, object] = {"reference_latents": [scene.person.latent]}
    if scene.product is not None:
        values[PRODUCT] = scene.product.latent
        values[PRODUCT_SCALE] = scene.product.scale
    if motion is not None:
        values["reference_motion"] = motion
    if scene.pose is not None:
        values["control_video"] = scene.pose.clips[plan.index]
    if speech_to_face:
        values[FACE_MASK] = "router"
    prompt = scene.prompts.positive[plan.prompt]
    size = scene.person.size
    return ClipConditions(
        positive=_with_values(prompt, {**values, "audio_embed": audio}),
        negative=_with_values(scene.prompts.negative, {**values, "audio_embed": audio * 0.0}),
        latent=torch.zeros(1, LATENT_CHANNELS, CLIP_TARGET_LATENTS, size.latent_rows, size.latent_columns),
    )


def _with_values(conditioning: Conditioning, values: dict[str, object]) -> Conditioning:
    return [[embedding, {**extra, **values}] for embedding, extra in conditioning]
