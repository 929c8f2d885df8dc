"""From the length of the speech to clips."""

from __future__ import annotations

from dataclasses import dataclass

from ..conditioning.prompts import prompts_for
from ..constants import CLIP_FRAMES, REFERENCE_AUDIO_WINDOW, VIDEO_FPS
from ..errors import InputError


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip.

    Attributes:
        index: number of the clip, from 0.
        start_frame: frame of the video at which it starts; the feature of the speech with the same number belongs
            to it.
        keep_frames: how many of its 80 frames the video takes.
        prompt: number of its prompt.
        seed_offset: added to the seed of the run.
    """

    index: int
    start_frame: int
    keep_frames: int
    prompt: int
    seed_offset: int


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """Clips that make a video.

    Attributes:
        frames: of the video.
        clips: in order, without gaps.
        speech_frames: of the whole speech; more than `frames` where the number of clips is limited.
    """

    frames: int
    clips: tuple[ClipPlan, ...]
    speech_frames: int

    def describe(self) -> str:
        """One line for the user: ``12.4 s -> 4 clips, last clip trimmed to 70 of 80 frames``."""
        count = len(self.clips)
        line = f"{self.speech_frames / VIDEO_FPS:.1f} s -> {count} {'clip' if count == 1 else 'clips'}"
        last = self.clips[-1].keep_frames
        if last < CLIP_FRAMES:
            line += f", last clip trimmed to {last} of {CLIP_FRAMES} frames"
        if self.frames < self.speech_frames:
            line += f", the first {self.frames / VIDEO_FPS:.1f} s of the speech"
        return line


def plan_video(frames: int, prompts: int, max_clips: int | None = None, reference_behaviour: bool = False) -> VideoPlan:
    """Clips for a speech of `frames` frames.

    The video is as long as the speech, unless `max_clips` ends it before; clip r starts at frame 80 r.  In reference
    behaviour the number of clips comes from 81-frame windows and nothing is trimmed (BI:115-160), so the video ends
    after or before the speech.

    Args:
        frames: of the speech, at 25 a second.
        prompts: how many there are.
        max_clips: make at most this many.

    Raises:
        InputError: no frames, no prompt, or no clip.
    """
    if frames < 1:
        raise InputError(f"The speech has {frames} frames, but at least 1 is expected; use a longer recording.")
    if max_clips is not None and max_clips < 1:
        raise InputError(f"max_clips is {max_clips}, but at least 1 is expected; leave it at 0 to cover the speech.")
    count = frames // REFERENCE_AUDIO_WINDOW + 1 if reference_behaviour else -(-frames // CLIP_FRAMES)
    count = count if max_clips is None else min(count, max_clips)
    total = count * CLIP_FRAMES if reference_behaviour else min(frames, count * CLIP_FRAMES)
    chosen, _ = prompts_for(prompts, count)
    clips = tuple(
        ClipPlan(index, index * CLIP_FRAMES, min(CLIP_FRAMES, total - index * CLIP_FRAMES), chosen[index], index)
        for index in range(count)
    )
    return VideoPlan(total, clips, frames)
