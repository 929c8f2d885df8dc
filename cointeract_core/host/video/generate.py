"""Make a whole video: clips through the host's sampler and VAE, written to disk as they finish."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from torch import Tensor

from ...clips.loop import FinishedClip, run_clips
from ...clips.parts import ClipScene, FinishedVideo
from ...clips.watch import one_colour
from ...clips.writer import ClipWriter
from ...constants import VIDEO_FPS
from ...errors import ResultError
from ..files.blame import suspicion
from ..model.prepare import prepared
from ..objects import Patcher, Vae
from ..page.progress import RunProgress
from ..version import warn_of_new_host
from .check_memory import check_memory, forward_memory
from .decode import end_decoder
from .encode import encode_frames
from .output import new_video_paths
from .sampling import SampleSettings, clip_sampler, make_sigmas, with_shift

log = logging.getLogger("cointeract")


def generate_video(
    patcher: Patcher,
    vae: Vae,
    scene: ClipScene,
    settings: SampleSettings,
    *,
    filename_prefix: str,
    node_id: str | None = None,
    speech_to_face: bool = False,
    value_of: Callable[[str, str], object] = lambda _node, _name: None,
    files: Sequence[str] = (),
) -> FinishedVideo:
    """Sample, decode and write every clip of a scene.

    The mp4 is brought up to date after each clip, so an interrupted run leaves a valid video of what it finished.

    Args:
        patcher: the MODEL.
        vae: the Wan 2.1 VAE.
        scene: what the video is made from.
        filename_prefix: where below the host's output folder the mp4 goes.
        node_id: node that shows progress.
        speech_to_face: keep speech to the face (`clip_conditions`).
        value_of: values of the workflow's nodes, for `filename_prefix`.
        files: names of the model's files, for errors.

    Raises:
        InputError: the prefix names no file, or the card is too small for the video's size.
        ResultError: a step or clip made something else than numbers; the clips before it are kept.
    """
    warn_of_new_host()
    plan = scene.speech.plan
    shifted = with_shift(prepared(patcher), settings.shift)
    memory = check_memory(shifted, forward_memory(shifted, scene))
    sigmas = make_sigmas(shifted, settings)
    progress = RunProgress(shifted, len(plan.clips), len(sigmas) - 1, node_id)
    size = scene.person.size
    progress.say(memory)
    path, work = new_video_paths(filename_prefix, size.width, size.height, value_of)
    writer = ClipWriter(path, work, scene.speech.waveform, scene.speech.sample_rate)

    def announced(what: str, work_on: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: object) -> Tensor:
            progress.say(f"{writer.frames} of {plan.frames} frames done, {what}")
            return work_on(*inputs)

        return call

    clips = run_clips(
        plan,
        scene.person.latent,
        sample=clip_sampler(shifted, scene, settings, sigmas, progress.callback, speech_to_face=speech_to_face),
        decode=announced("decoding the next clip", end_decoder(vae)),
        encode=announced("encoding motion frames", partial(encode_frames, vae)),
        eight_bit_hand_over=scene.speech.reference_behaviour,
    )
    try:
        told = _write(clips, writer, len(plan.clips))
    except ResultError as error:
        number = len(writer.clip_files) + 1
        kept = f"{writer.frames} frames of the clips before are in {writer.path.name}" if writer.frames else "nothing"
        raise ResultError(
            f"In clip {number} of {len(plan.clips)} {error}, but numbers were expected; {suspicion(patcher, files)}; "
            f"kept: {kept}."
        ) from error
    done = f"{writer.frames} frames, {writer.frames / VIDEO_FPS:.1f} s, in {writer.path.name}"
    progress.say("; ".join([done, *told]))
    return FinishedVideo(writer.path, writer.frames, writer.clip_files, scene.speech)


def _write(clips: Iterable[FinishedClip], writer: ClipWriter, count: int) -> list[str]:
    """Write clips as they are made, and tell of those that show nothing."""
    told = []
    for clip in clips:
        writer.add(clip.frames)
        log.info("Clip %d of %d is in %s", clip.plan.index + 1, count, writer.path)
        if one_colour(clip.frames):
            told.append(f"clip {clip.plan.index + 1} is one colour from edge to edge")
            log.warning("%s: look at the model, its LoRAs and the VAE", told[-1])
    return told
