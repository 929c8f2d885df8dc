"""What a video says about its colours, and its frames as BT.709 SDR pictures in full range.

A file that says nothing is read as browsers do: BT.709 from 720 lines on, BT.601 below, limited range.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .hdr import BT2020, CHROMATICITIES, HLG, PQ, SdrConverter

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.video.codeccontext import VideoCodecContext

UNKNOWN = (0, 2)  # of a matrix, transfer or primaries: 0 is reserved or RGB, 2 means “not said”
# FFmpeg's numbers (ISO/IEC 23091-2) and the names its scale filter reads
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
OTHER_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT (Dolby Vision profile 5)"}
SDR_TRANSFERS = (1, 4, 5, 6, 7, 11, 12, 13, 14, 15)  # all within a few percent of BT.709 on a display
OTHER_TRANSFERS = {8: "linear light", 9: "logarithmic light", 10: "logarithmic light", 17: "SMPTE ST 428 light"}
NO_PRIMARIES = 10  # XYZ of cinemas
HD_LINES = 720
FULL_RANGE = 2
HIGH_TRANSFERS = {HLG: "HLG", PQ: "PQ"}
EXACT = "bicubic+accurate_rnd+full_chroma_int"  # how FFmpeg computes colours


@dataclass(frozen=True, slots=True)
class Colours:
    """How the samples of a frame are to be read.

    Attributes:
        matrix: name for FFmpeg's scale filter.
        full: whether black is 0 and white the largest value.
        transfer, primaries: FFmpeg's numbers.
    """

    matrix: str
    full: bool
    transfer: int
    primaries: int

    @property
    def converted(self) -> bool:
        """Whether they are other than BT.709 SDR in more than matrix and range."""
        return self.transfer in HIGH_TRANSFERS or (self.primaries in CHROMATICITIES and self.primaries != 1)

    def note(self) -> str | None:
        """A sentence for the user where colours are converted."""
        if not self.converted:
            return None
        wide = "BT.2020" if self.primaries == BT2020 else "P3" if self.primaries in CHROMATICITIES else ""
        names = " ".join(part for part in (HIGH_TRANSFERS.get(self.transfer, ""), wide) if part)
        return f"its colours are {names}: converted to BT.709 SDR."


def read_colours(name: str, frame: VideoFrame, context: VideoCodecContext) -> Colours:
    """The colours of a frame, by its own tags and else by those of its stream.

    Args:
        name: of the file, for errors.
        context: the stream's codec context.

    Raises:
        InputError: colours that cannot be converted.
    """
    form = frame.format.name
    matrix = _tag(frame, context, "colorspace")
    transfer = _tag(frame, context, "color_trc")
    primaries = _tag(frame, context, "color_primaries")
    what = None
    if matrix not in (*MATRICES, *UNKNOWN):
        what = OTHER_MATRICES.get(matrix, f"matrix {matrix}")
    elif transfer not in (*SDR_TRANSFERS, *HIGH_TRANSFERS, *UNKNOWN):
        what = OTHER_TRANSFERS.get(transfer, f"transfer {transfer}")
    elif primaries == NO_PRIMARIES:
        what = "XYZ"
    if what is not None:
        raise InputError(
            f"{name} has colours in {what}, but BT.601, BT.709 or BT.2020, with HLG and PQ, can be read; export it "
            "again as SDR BT.709."
        )
    guess = "bt709" if frame.height >= HD_LINES else "bt601"
    if transfer in HIGH_TRANSFERS:  # ITU-R BT.2100 knows no other primaries
        guess, primaries = "bt2020", BT2020 if primaries in UNKNOWN else primaries
    span = _tag(frame, context, "color_range")
    full = bool(frame.format.is_rgb) or span == FULL_RANGE or form.startswith("yuvj")
    return Colours(MATRICES.get(matrix, guess), full, transfer, primaries)


def _tag(frame: VideoFrame, context: VideoCodecContext, name: str) -> int:
    """A tag of the frame, or of its stream where the frame has none (or PyAV does not show it)."""
    own = int(getattr(frame, name, 0) or 0)
    return own if own not in UNKNOWN else int(getattr(context, name, 0) or 0)


class ColourReader:
    """Turns decoded frames of one stream into pictures; keeps its filter while frames stay of one kind."""

    def __init__(self, name: str, context: VideoCodecContext) -> None:
        self._name, self._context = name, context
        self._kind: tuple[int, int, str, Colours, str] | None = None
        self._graph: Graph | None = None
        self._converter: SdrConverter | None = None

    def picture(self, frame: VideoFrame) -> np.ndarray:
        """A frame as `[H, W, 3]` uint8, BT.709 SDR; what is transparent is black.

        Raises:
            InputError: colours that cannot be converted.
        """
        colours = read_colours(self._name, frame, self._context)
        form = "rgb48le" if colours.converted else "rgba" if _has_alpha(frame) else "rgb24"
        kind = (frame.width, frame.height, frame.format.name, colours, form)
        if self._graph is None or kind != self._kind:
            self._kind, self._graph = kind, _filter(frame, colours, form)
            self._converter = SdrConverter(colours.transfer, colours.primaries) if colours.converted else None
        frame.pts, frame.time_base = 0, Fraction(1, 1000)  # the filter only looks at pictures
        self._graph.push(frame)
        pixels = self._graph.vpull().to_ndarray()
        if self._converter is not None:
            return self._converter.convert(pixels.astype(np.uint16, copy=False))
        if form == "rgba":
            opacity = pixels[..., 3:].astype(np.uint16)
            return ((pixels[..., :3] * opacity + 127) // 255).astype(np.uint8)
        return pixels


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)


def _filter(frame: VideoFrame, colours: Colours, form: str) -> Graph:
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    span = "pc" if colours.full else "tv"
    matrix = "" if frame.format.is_rgb else f"in_color_matrix={colours.matrix}:in_range={span}:"
    scale = graph.add("scale", f"{matrix}out_range=pc:flags={EXACT}")
    graph.link_nodes(source, scale, graph.add("format", form), graph.add("buffersink")).configure()
    return graph
