"""One clip for the host's own sampler nodes: its conditions before, its frames after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ...clips.loop import decode_target
from ...clips.parts import ClipScene
from ...clips.plan import ClipPlan
from ...clips.watch import check_finite, one_colour
from ...conditioning.motion import last_motion
from ...constants import CLIP_TARGET_LATENTS, LATENT_CHANNELS
from ...errors import InputError, ResultError
from ..files.blame import suspicion
from ..files.check_wired import check_vae
from ..objects import Vae
from .conditions import ClipConditions, clip_conditions
from .decode import decode_last
from .encode import encode_frames


@dataclass(frozen=True, slots=True)
class ClipContext:
    """What decoding a clip needs besides its latents.

    Attributes:
        plan: which clip.
        before: the person latent for the first clip, the motion latents for later ones.
    """

    plan: ClipPlan
    before: Tensor


def prepare_clip_context(
    scene: ClipScene, clip: int, vae: Vae | None, previous_frames: Tensor | None, *, speech_to_face: bool = False
) -> tuple[ClipConditions, ClipContext]:
    """Conditions of clip number `clip`, and its context.

    Args:
        previous_frames: the video so far, `[F, H, W, 3]`; None for the first clip.

    Raises:
        InputError: no such clip, or frames that are missing, superfluous, too few, or of another size.
    """
    clips = scene.speech.plan.clips
    if not 0 <= clip < len(clips):
        raise InputError(f"clip is {clip}, but the speech makes clips 0 to {len(clips) - 1}; choose one of those.")
    motion = None
    if clip > 0:
        motion = _motion(scene, clip, vae, previous_frames)
    elif previous_frames is not None:
        raise InputError(
            "previous_frames is wired, but clip is 0, which nothing precedes; unwire it or choose a later clip."
        )
    conditions = clip_conditions(scene, clips[clip], motion, speech_to_face=speech_to_face)
    return conditions, ClipContext(clips[clip], scene.person.latent if motion is None else motion)


def _motion(scene: ClipScene, clip: int, vae: Vae | None, frames: Tensor | None) -> Tensor:
    if frames is None or vae is None:
        absent = "previous_frames" if frames is None else "vae"
        raise InputError(f"clip is {clip}, but {absent} is not wired; wire the frames of the clips before and a VAE.")
    check_vae(vae)
    size = scene.person.size
    height, width = frames.shape[1:3]
    if (width, height) != (size.width, size.height):
        raise InputError(
            f"previous_frames is {width}x{height}, but the person reference is {size}; "
            "wire the images of the clip before."
        )
    motion = encode_frames(vae, last_motion(frames))
    try:
        check_finite(motion, "the motion frames")
    except ResultError as error:
        raise InputError(f"From previous_frames {error}; wire frames that are whole.") from error
    return motion


def decode_clip(vae: Vae, target: Tensor, context: ClipContext, files: Sequence[str] = ()) -> tuple[Tensor, str | None]:
    """Frames a sampled clip adds to the video, `[keep, H, W, 3]`, and a warning where they show nothing.

    Args:
        files: names of the model files behind the latent, for errors.

    Raises:
        InputError: a latent of another shape than Clip Conditioning gave.
        ResultError: latents or frames that are not numbers.
    """
    before = context.before
    expected = (1, LATENT_CHANNELS, CLIP_TARGET_LATENTS, *before.shape[-2:])
    if tuple(target.shape) != expected:
        raise InputError(
            f"latent has shape {tuple(target.shape)}, but clip expects {expected}; "
            "sample the latent that Clip Conditioning gives."
        )
    try:
        frames = decode_target(target, before, partial(decode_last, vae))[: context.plan.keep_frames]
    except ResultError as error:
        raise ResultError(
            f"In Decode Clip {error}, but numbers were expected; {suspicion(None, files)}; kept: nothing."
        ) from error
    warning = "the clip is one colour from edge to edge: look at the model, its LoRAs and the VAE"
    return frames, warning if one_colour(frames) else None
