"""The frame table: which source frame stands at which place of a training clip.

Everything runs at 25 frames a second.  Target latent k holds frames 4k to 4k + 3, with motion frames in front of it or
without; speech, HOI stream and pose stand at the same frames.  Tags of frame rates are often wrong (the published row
says 24 and means 25), so counts and durations are looked at together, and what was decided is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...conditioning.pose import nearest
from ...constants import MOTION_FRAMES, TEMPORAL_STRIDE, VIDEO_FPS
from ...errors import InputError
from ...media.video import Footage
from ..settings.sections import FEWEST_LATENTS

SAME_RATE = 0.02  # frames a second
ONE_FRAME = 1 / VIDEO_FPS + 1e-6  # seconds
TWO_FRAMES = 2 / VIDEO_FPS + 1e-6
BY_STAMP = "each frame is taken by its own time stamp"


@dataclass(frozen=True, slots=True)
class FramePlan:
    """Source frames of a clip of F latents.

    Attributes:
        target: of the input video, `4 F`.
        motion: of the motion video, 73; None without one.
        hoi, pose: of these videos, `4 F`; None without one.
        notes: what was decided, and why.
    """

    target: tuple[int, ...]
    motion: tuple[int, ...] | None
    hoi: tuple[int, ...] | None
    pose: tuple[int, ...] | None
    notes: tuple[str, ...]

    @property
    def latents(self) -> int:
        """Target latents F."""
        return len(self.target) // TEMPORAL_STRIDE

    @property
    def resampled(self) -> bool:
        """Whether the clip's frames are others than the first ones of the input video."""
        return self.target != tuple(range(len(self.target)))


class FrameError(InputError):
    """A video that does not fit the others of its row, with the column it stands in."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def plan_frames(
    footage: Footage,
    audio_seconds: float,
    latents: int,
    *,
    motion: Footage | None = None,
    hoi: Footage | None = None,
    pose: Footage | None = None,
) -> FramePlan:
    """Decide which frames to take.

    Args:
        footage: the input video.
        audio_seconds: length of the clip's sound.
        latents: target latents, at most.

    Raises:
        FrameError: videos and sound of different lengths, or too little of them.
    """
    notes: list[str] = []
    times, as_counted = _input_times(footage, audio_seconds, notes)
    heard = int((audio_seconds + ONE_FRAME) * VIDEO_FPS)
    usable = min(len(times), heard) // TEMPORAL_STRIDE
    if usable < FEWEST_LATENTS:
        column, seconds = ("audio", audio_seconds) if heard < len(times) else ("input_video", len(times) / VIDEO_FPS)
        needed = FEWEST_LATENTS * TEMPORAL_STRIDE
        raise FrameError(
            column,
            f"it lasts {seconds:.2f} s, but at least {needed / VIDEO_FPS:.2f} s ({needed} frames at {VIDEO_FPS} a "
            "second) are expected; use a longer clip.",
        )
    if usable < latents:
        kept = usable * TEMPORAL_STRIDE
        notes.append(f"input_video and audio give {usable} of {latents} latents ({kept} frames): a shorter clip.")
    target = tuple(times[: min(usable, latents) * TEMPORAL_STRIDE])
    beside = {
        column: None if video is None else _beside(column, video, footage, target, as_counted, notes)
        for column, video in (("hoi_video", hoi), ("pose_video", pose))
    }
    before = None if motion is None else _motion_times(motion, footage, as_counted, notes)
    return FramePlan(target, before, beside["hoi_video"], beside["pose_video"], tuple(notes))


def _input_times(footage: Footage, audio_seconds: float, notes: list[str]) -> tuple[list[int], bool]:
    """Frames of the input video at 25 a second, and whether they are taken as counted."""
    if not footage.steady:
        notes.append(f"input_video has no steady rate ({footage.fps:.4g} fps in the mean): {BY_STAMP}.")
        if abs(footage.seconds - audio_seconds) > TWO_FRAMES:
            notes.append(_unlike(audio_seconds, footage.seconds))
        return footage.by_time(), False
    counted = footage.frames / VIDEO_FPS
    if abs(footage.fps - VIDEO_FPS) < SAME_RATE:
        if abs(audio_seconds - counted) > TWO_FRAMES:
            notes.append(_unlike(audio_seconds, counted))
        return list(range(footage.frames)), True
    if abs(counted - audio_seconds) <= ONE_FRAME:
        notes.append(
            f"input_video is tagged {footage.fps:g} fps, but its {footage.frames} frames last as long as the audio "
            f"({audio_seconds:.2f} s) at {VIDEO_FPS}: taken frame by frame."
        )
        return list(range(footage.frames)), True
    if abs(footage.seconds - audio_seconds) <= TWO_FRAMES:
        notes.append(
            f"input_video runs at {footage.fps:g} fps for the {audio_seconds:.2f} s of the audio: resampled by time."
        )
        return footage.by_time(), False
    raise FrameError(
        "input_video",
        f"it lasts {footage.seconds:.2f} s by its tag of {footage.fps:g} fps and {counted:.2f} s at {VIDEO_FPS}, but "
        f"the audio lasts {audio_seconds:.2f} s; export it at {VIDEO_FPS} fps, or cut both to the same length.",
    )


def _unlike(audio_seconds: float, seconds: float) -> str:
    return f"audio lasts {audio_seconds:.2f} s and input_video {seconds:.2f} s: both are used from the beginning."


def _beside(
    column: str, video: Footage, footage: Footage, target: tuple[int, ...], as_counted: bool, notes: list[str]
) -> tuple[int, ...]:
    """Frames of a video that shows the same moments as the input video."""
    if abs(video.frames - footage.frames) <= 1 and (video.steady or not footage.steady):
        if abs(video.fps - footage.fps) >= SAME_RATE or video.frames != footage.frames:
            notes.append(
                f"{column} has {video.frames} frames at {video.fps:g} fps beside {footage.frames} of input_video: "
                "taken frame by frame with it."
            )
        return tuple(min(index, video.frames - 1) for index in target)
    lasting = footage.frames / VIDEO_FPS if as_counted else footage.seconds
    if abs(video.seconds - lasting) <= TWO_FRAMES:
        times = video.by_time()
        how = "resampled by time" if video.steady else f"no steady rate, {BY_STAMP}"
        notes.append(f"{column} has {video.frames} frames at {video.fps:.6g} fps: {how}.")
        return tuple(times[min(place, len(times) - 1)] for place in range(len(target)))
    raise FrameError(
        column,
        f"it lasts {video.seconds:.2f} s ({video.frames} frames at {video.fps:g} fps), but input_video lasts "
        f"{lasting:.2f} s ({footage.frames} frames); export it with a frame for each of input_video's.",
    )


def _motion_times(motion: Footage, footage: Footage, as_counted: bool, notes: list[str]) -> tuple[int, ...]:
    """The 73 frames that lead up to the clip: the motion video's last ones."""
    if not motion.steady:
        notes.append(f"motion_video has no steady rate: {BY_STAMP}.")
        return _last(motion.by_time(), notes)
    own_rate = abs(motion.fps - VIDEO_FPS) < SAME_RATE
    like_input = abs(motion.fps - footage.fps) < SAME_RATE
    if own_rate or (as_counted if like_input else motion.frames == MOTION_FRAMES):
        step = 1.0
        if not own_rate:
            why = "input_video, which has the same tag" if like_input else f"the {MOTION_FRAMES} frames it must have"
            notes.append(f"motion_video is tagged {motion.fps:g} fps, but taken frame by frame like {why}.")
    else:
        step = motion.fps / VIDEO_FPS
        notes.append(f"motion_video runs at {motion.fps:g} fps: resampled by time.")
    count = nearest(motion.frames / step)
    _check_motion(count, notes)
    # counted from the end, where the clip begins
    places = (nearest(motion.frames - back * step) for back in range(MOTION_FRAMES, 0, -1))
    return tuple(min(max(place, 0), motion.frames - 1) for place in places)


def _last(times: list[int], notes: list[str]) -> tuple[int, ...]:
    _check_motion(len(times), notes)
    return tuple(times[-MOTION_FRAMES:])


def _check_motion(count: int, notes: list[str]) -> None:
    """Refuse too few frames at 25 a second, and say where there are more than are used."""
    if count < MOTION_FRAMES:
        raise FrameError(
            "motion_video",
            f"it gives {count} frames at {VIDEO_FPS} a second, but the {MOTION_FRAMES} before the clip are expected; "
            "use a longer one, or leave the cell empty.",
        )
    if count > MOTION_FRAMES:
        notes.append(f"motion_video has {count} frames at {VIDEO_FPS} a second: its last {MOTION_FRAMES} are used.")
