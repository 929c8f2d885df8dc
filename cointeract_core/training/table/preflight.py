"""Look at every row before anything is loaded: all problems at once, each with its row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from ...conditioning.speech import check_speech
from ...constants import TEMPORAL_STRIDE
from ...errors import InputError
from ...media.picture import read_picture
from ...media.sound import Sound, read_sound
from ...media.video import Footage, probe_video
from ...shapes import SMALLEST_SIDE, VideoSize, largest_size
from .box_cells import Boxes
from .box_forms import in_corners
from .boxes import box_notes, box_problems, count_latents, in_frames, in_time
from .frames import FrameError, FramePlan, plan_frames
from .rows import COLUMNS, HOI_COLUMN, Draft, Problem, Row, parse_row, read_table
from .token_masks import TokenMasks, token_masks

SAME_SHAPE = 0.02  # relative difference of aspect ratios that comes from rounding
VIDEOS = ("input_video", "motion_video", HOI_COLUMN, "pose_video")
PICTURES = ("person_image", "product_image")
ORDER = (*COLUMNS, "width, height")  # of a row's problems
MUCH_CUT = 0.1  # of the picture
Value = TypeVar("Value")


class Attempt(Protocol):
    """Does a check, and writes down under a column what it refuses."""

    def __call__(self, column: str, check: Callable[[], Value], /) -> Value | None:
        """What the check gives; None where it refused."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that can be used, with everything decided.

    Attributes:
        size: of the video the model sees.
        latents: target latents F.
        token_masks: None where the row has no boxes.
        notes: what was decided, for the user.
    """

    row: Row
    plan: FramePlan
    size: VideoSize
    latents: int
    token_masks: TokenMasks | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preflight:
    """Usable rows and everything that is wrong with the others."""

    rows: tuple[CheckedRow, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def report(self) -> str:
        """Everything in lines: a count, problems, then what was decided."""
        bad = len({problem.row for problem in self.problems})
        head = f"{len(self.rows)} of {len(self.rows) + bad} rows can be used."
        decided = [f"row {checked.row.number}: {note}" for checked in self.rows for note in checked.notes]
        return "\n".join([head, *(problem.sentence() for problem in self.problems), *self.notes, *decided])

    def accepted(self, skip_bad: bool) -> tuple[CheckedRow, ...]:
        """The usable rows.

        Args:
            skip_bad: leave rows with problems out; otherwise one such row is an error.

        Raises:
            InputError: rows with problems, or no usable row.
        """
        listed = "\n".join(problem.sentence() for problem in self.problems)
        if self.problems and not skip_bad:
            bad = len({problem.row for problem in self.problems})
            raise InputError(
                f"{bad} of {len(self.rows) + bad} rows have problems, but all must be good; correct them, or set "
                f"bad_rows to skip:\n{listed}"
            )
        if not self.rows:
            raise InputError(f"No row of the table can be used; correct at least one:\n{listed}")
        return self.rows


def check_table(
    table: Path,
    *,
    size: VideoSize | None,
    max_pixels: int,
    latents: int,
    progress: Callable[[int, int], None] | None = None,
) -> Preflight:
    """Check every row of a table.

    Args:
        size: every row is brought to it; None keeps each row's shape within `max_pixels`.
        latents: target latents, at most; shorter footage gives fewer.
        progress: told how many rows of how many are done.

    Raises:
        InputError: the table itself cannot be read.
    """
    read = read_table(table)
    rows: list[CheckedRow] = []
    problems = list(read.problems)
    for done, (number, cells) in enumerate(read.rows):
        if progress is not None:
            progress(done, len(read.rows))
        checked, found = check_row(parse_row(number, cells, read.folder), size, max_pixels, latents)
        rows += [] if checked is None else [checked]
        problems += found
    if progress is not None:
        progress(len(read.rows), len(read.rows))
    return Preflight(tuple(rows), tuple(sorted(problems, key=lambda problem: problem.row)), read.notes)


def check_row(
    draft: Draft, size: VideoSize | None, max_pixels: int, latents: int
) -> tuple[CheckedRow | None, list[Problem]]:
    """Open a row's files and decide how it is used, or say everything that is wrong with them.

    Args:
        size, max_pixels, latents: as in `check_table`.
    """
    problems = list(draft.problems)

    def attempt(column: str, check: Callable[[], Value]) -> Value | None:
        try:
            return check()
        except FrameError as error:
            problems.append(Problem(draft.number, error.column, str(error)))
        except InputError as error:
            problems.append(Problem(draft.number, column, str(error)))
        return None

    videos, seconds, heard = _open_files(draft, attempt)
    footage = videos.get("input_video")
    plan = chosen = None
    if footage is not None:
        _check_shapes(draft, footage, videos, attempt)
        chosen = attempt("input_video", lambda: size or _own_size(footage, max_pixels))
        if seconds is not None:
            plan = attempt("input_video", partial(_plan, videos, seconds, latents))
    source = draft.source or (footage.size if footage is not None else None)
    whole = footage.frames // TEMPORAL_STRIDE if footage is not None else latents
    clip = latents if plan is None else plan.latents
    drawn, notes = _boxes_of_clip(draft, whole, plan, attempt)
    for column, boxes in drawn.items():
        drawn[column], converted = in_corners(boxes, source)
        hands = column == "hand_object"
        problems += [Problem(draft.number, column, text) for text in box_problems(drawn[column], source, clip, hands)]
        notes += [f"{column}: {note}" for note in [*converted, *box_notes(drawn[column], clip)]]
    if problems or footage is None or plan is None or chosen is None:
        return None, sorted(problems, key=lambda problem: ORDER.index(problem.column))
    row = replace(draft.row(), source=source, face=drawn.get("face"), hand=drawn.get("hand_object"))
    masks = token_masks(row.face, row.hand, clip, chosen, source) if drawn else None
    seen = [f"{column}: {note}" for column, video in videos.items() for note in video.notes]
    notes = [*seen, *heard, *plan.notes, *_size_notes(footage, chosen), *notes, *_mask_notes(row, masks)]
    return CheckedRow(row, plan, chosen, clip, masks, tuple(notes)), []


def _open_files(draft: Draft, attempt: Attempt) -> tuple[dict[str, Footage], float | None, list[str]]:
    """The row's videos that can be read, how long its sound lasts, and what was decided about the sound."""
    videos: dict[str, Footage] = {}
    sound: Sound | None = None
    for name, path in draft.files.items():
        if name in VIDEOS:
            footage = attempt(name, partial(probe_video, path))
            videos |= {} if footage is None else {name: footage}
        elif name in PICTURES:
            attempt(name, partial(read_picture, path, name))
        else:
            sound = attempt(name, partial(_checked_sound, path))
    if sound is None:
        return videos, None, []
    return videos, sound.waveform.shape[-1] / sound.rate, [f"audio: {note}" for note in sound.notes]


def _plan(videos: Mapping[str, Footage], seconds: float, latents: int) -> FramePlan:
    beside = {"motion": "motion_video", "hoi": HOI_COLUMN, "pose": "pose_video"}
    return plan_frames(
        videos["input_video"], seconds, latents, **{name: videos.get(column) for name, column in beside.items()}
    )


def _checked_sound(path: Path) -> Sound:
    sound = read_sound(path)
    check_speech(sound.waveform, sound.rate)
    return sound


def _own_size(footage: Footage, max_pixels: int) -> VideoSize:
    size = largest_size(footage.width, footage.height, max_pixels)
    if min(size.width, size.height) < SMALLEST_SIDE:
        raise InputError(
            f"it is {footage.size}, which comes to {size}, but each side needs at least {SMALLEST_SIDE} pixels; use a "
            "larger video."
        )
    return size


def _check_shapes(draft: Draft, footage: Footage, videos: Mapping[str, Footage], attempt: Attempt) -> None:
    """All videos are scaled and cut alike, and boxes with them, which only fits where they have one shape."""
    sizes = {name: (video.size, "export both with the same picture") for name, video in videos.items()}
    if draft.source is not None:
        sizes["width, height"] = (draft.source, "give the size of the video the boxes were drawn on")

    def check(size: VideoSize, remedy: str) -> None:
        if abs(size.width / size.height * footage.height / footage.width - 1) > SAME_SHAPE:
            raise InputError(f"it is {size}, but the shape of input_video ({footage.size}) is expected; {remedy}.")

    for column, (size, remedy) in sizes.items():
        attempt(column, partial(check, size, remedy))


def _boxes_of_clip(
    draft: Draft, latents: int, plan: FramePlan | None, attempt: Attempt
) -> tuple[dict[str, Boxes], list[str]]:
    """Boxes of the cells that have some, by column, with keys that count the clip's frames; a note if they did not.

    Args:
        latents: of the whole footage.
    """
    cells = {
        column: boxes for column, boxes in (("face", draft.face), ("hand_object", draft.hand)) if boxes is not None
    }
    if count_latents(list(cells.values()), latents):
        note = "the keys of the boxes count latents, not frames: read as such."
        return {column: in_frames(boxes) for column, boxes in cells.items()}, [note]
    if not cells or plan is None or not plan.resampled:
        return cells, []
    placed = {column: attempt(column, partial(in_time, boxes, plan.target)) for column, boxes in cells.items()}
    note = "the keys of the boxes are frames of input_video, which is resampled: each latent takes the nearest boxes."
    return {column: boxes for column, boxes in placed.items() if boxes is not None}, [note]


def _size_notes(footage: Footage, size: VideoSize) -> list[str]:
    """What scaling and cutting do to the picture, where it is much."""
    scale = max(size.width / footage.width, size.height / footage.height)
    kept = size.width * size.height / (footage.width * footage.height * scale**2)
    notes = []
    if scale > 1:
        notes.append(f"input_video is {footage.size} and is enlarged to {size}: it will look soft.")
    if kept < 1 - MUCH_CUT:
        notes.append(f"{1 - kept:.0%} of the picture is cut off to bring {footage.size} to the shape of {size}.")
    return notes


def _mask_notes(row: Row, masks: TokenMasks | None) -> list[str]:
    """Where the router learns less than one may think."""
    if masks is None:
        return ["no boxes: the router learns nothing from this row."]
    notes = []
    for word, column, boxes, mask in (
        ("face", "face", row.face, masks.face),
        ("hand", "hand_object", row.hand, masks.hand),
    ):
        if not mask.any():
            why = "is empty" if boxes is None else "marks nothing in the picture"
            notes.append(f"{column} {why}: the router learns that no {word} is to be seen.")
    return notes
