"""Look at every row before anything is loaded: all problems at once, each with its row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..conditioning.speech import check_speech
from ..errors import InputError
from ..shapes import SMALLEST_SIDE, VideoSize, largest_size
from .boxes import box_problems, read_cell
from .footage import Footage, probe_video, read_audio, read_picture
from .frames import FrameError, FramePlan, plan_frames
from .masks import TokenMasks, token_masks
from .rows import HOI_COLUMN, Problem, Row, parse_row, read_table

SAME_SHAPE = 0.02  # relative difference of aspect ratios that comes from rounding
VIDEOS = ("input_video", "motion_video", HOI_COLUMN, "pose_video")
PICTURES = ("person_image", "product_image")


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that can be used, with everything decided.

    Attributes:
        size: of the video the model sees.
        latents: target latents F.
        masks: of the target tokens; None where the row has no boxes.
        notes: what was decided, for the user.
    """

    row: Row
    plan: FramePlan
    size: VideoSize
    latents: int
    masks: TokenMasks | None
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
    problems: list[Problem] = []
    for done, (number, cells) in enumerate(read.rows):
        if progress is not None:
            progress(done, len(read.rows))
        row, found = parse_row(number, cells, read.folder)
        if row is not None:
            checked, found = check_row(row, size=size, max_pixels=max_pixels, latents=latents)
            rows += [checked] if checked is not None else []
        problems += found
    if progress is not None:
        progress(len(read.rows), len(read.rows))
    return Preflight(tuple(rows), tuple(problems), read.notes)


def check_row(
    row: Row, *, size: VideoSize | None, max_pixels: int, latents: int
) -> tuple[CheckedRow | None, list[Problem]]:
    """Open a row's files and decide how it is used, or say everything that is wrong with them."""
    problems: list[Problem] = []

    def attempt(column: str, check: Callable[[], object]) -> object:
        try:
            return check()
        except FrameError as error:
            problems.append(Problem(row.number, error.column, str(error)))
        except InputError as error:
            problems.append(Problem(row.number, column, str(error)))
        return None

    videos = {
        name: attempt(name, lambda path=path: probe_video(path))
        for name in VIDEOS
        if (path := getattr(row, name)) is not None
    }
    for name in PICTURES:
        if (path := getattr(row, name)) is not None:
            attempt(name, lambda path=path, name=name: read_picture(path, name))
    seconds = attempt("audio", lambda: _sound_seconds(row.audio))
    if problems:
        return None, problems
    footage = videos["input_video"]
    plan = attempt("input_video", lambda: _plan(videos, seconds, latents))
    chosen = attempt("input_video", lambda: size or _own_size(footage, max_pixels))
    source = row.source or footage.size
    if row.source is not None:
        attempt("width, height", lambda: _same_shape(row.source, footage))
    if problems:
        return None, problems
    row, masks, notes = _boxes(row, plan.latents, latents, chosen, source, problems)
    if problems:
        return None, problems
    return CheckedRow(row, plan, chosen, plan.latents, masks, (*plan.notes, *notes)), []


def _plan(videos: Mapping[str, Footage], seconds: float, latents: int) -> FramePlan:
    beside = {"motion": "motion_video", "hoi": HOI_COLUMN, "pose": "pose_video"}
    return plan_frames(
        videos["input_video"], seconds, latents, **{name: videos.get(column) for name, column in beside.items()}
    )


def _sound_seconds(path: Path) -> float:
    waveform, rate = read_audio(path)
    check_speech(waveform, rate)
    return waveform.shape[-1] / rate


def _own_size(footage: Footage, max_pixels: int) -> VideoSize:
    size = largest_size(footage.width, footage.height, max_pixels)
    if min(size.width, size.height) < SMALLEST_SIDE:
        raise InputError(
            f"it is {footage.size}, which comes to {size}, but each side needs at least {SMALLEST_SIDE} pixels; use a "
            "larger video."
        )
    return size


def _same_shape(source: VideoSize, footage: Footage) -> None:
    theirs, own = source.width / source.height, footage.width / footage.height
    if abs(theirs / own - 1) > SAME_SHAPE:
        raise InputError(
            f"they are {source}, but input_video is {footage.size}, another shape; give the size of the video the "
            "boxes were drawn on, before any cropping."
        )


def _boxes(
    row: Row, clip: int, most: int, size: VideoSize, source: VideoSize, problems: list[Problem]
) -> tuple[Row, TokenMasks | None, list[str]]:
    """The row with boxes whose keys count frames, its masks, and notes."""
    notes: list[str] = []
    texts: dict[str, str | None] = {}
    for column, text in (("face", row.face), ("hand_object", row.hand)):
        try:
            texts[column], boxes, converted = read_cell(text, column, most)
        except InputError as error:
            problems.append(Problem(row.number, column, str(error)))
            continue
        problems += [Problem(row.number, column, text) for text in box_problems(boxes, source, clip)]
        if converted:
            notes.append(f"the keys of {column} count latents, not frames: read as such.")
    if problems:
        return row, None, notes
    row = replace(row, face=texts["face"], hand=texts["hand_object"])
    if row.face is None and row.hand is None:
        return row, None, [*notes, "no boxes: the router learns nothing from this row."]
    return row, token_masks(row.face, row.hand, clip, size, source), notes
