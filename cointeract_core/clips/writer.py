"""Write a video clip by clip, so that a valid mp4 of everything finished so far is always on disk.

Each clip is encoded once into a segment of its own; its packets, those of the video so far and the sound are put
together beside the final file, which is then replaced in one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..constants import VIDEO_FPS
from ..files import free_name, replaced

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio import AudioStream
    from av.container import OutputContainer
    from av.filter import Graph

VIDEO_CODEC: Final = "libx264"
AUDIO_CODEC: Final = "aac"
CONSTANT_QUALITY = "14"  # x264's scale; visually lossless for generated video
AUDIO_BITRATE = 192_000
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_FALLBACK_RATE = 48000
SOUND_BLOCK = 1024  # samples an AAC frame holds
BT709, LIMITED = 1, 1  # FFmpeg's numbers: of matrix, primaries and transfer alike; of the range of luma
EXACT = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"  # how FFmpeg computes colours
# x264 writes them into the stream itself, where players look that do not read the container
TAGS = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"


class ClipWriter:
    """One video file that grows by whole clips.

    Args:
        path: the mp4 to write; where another run takes the name before the first clip is done, or
            a player holds the file open, a free one beside it.
        work: folder for segments and 8-bit frames; it may be emptied between clips (the host does when it starts).
        waveform: the soundtrack `[1, C, T]`.
        sample_rate: in Hz.
    """

    def __init__(self, path: Path, work: Path, waveform: Tensor, sample_rate: int) -> None:
        self.path = path
        self.frames = 0
        self._work = work
        self._clip_files: list[Path] = []
        self._waveform = waveform[0].detach().float().cpu()
        self._sample_rate = sample_rate

    @property
    def clip_files(self) -> tuple[Path, ...]:
        """Files of the clips' 8-bit frames."""
        return tuple(self._clip_files)

    def add(self, frames: Tensor) -> None:
        """Append a clip's frames `[N, H, W, 3]` in 0-1 and bring the mp4 up to date."""
        pixels = frames.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
        self._work.mkdir(parents=True, exist_ok=True)
        if not self._clip_files:
            self.path = free_name(self.path)
        name = f"{self.path.stem}.clip{len(self._clip_files):04}"
        kept = self._work / f"{name}.safetensors"
        save_file({"frames": pixels.contiguous()}, kept)
        segment = self._work / f"{name}.mp4"
        try:
            _write_segment(segment, pixels.numpy())
            self._join([self.path, segment] if self._clip_files else [segment], self.frames + len(pixels))
        finally:
            segment.unlink(missing_ok=True)
        self._clip_files.append(kept)
        self.frames += len(pixels)

    def _join(self, parts: list[Path], frames: int) -> None:
        import av

        beside = self.path.with_name(f".{self._work.name}.part.mp4")  # the work folder is this run's own
        samples = round(frames * self._sample_rate / VIDEO_FPS)
        with replaced(self.path, beside) as done, av.open(str(beside), "w", options={"movflags": "+faststart"}) as out:
            _join_parts(out, parts, self._waveform[:, :samples].numpy(), self._sample_rate)
        self.path = done.path


def load_frames(clip_files: tuple[Path, ...]) -> Tensor:
    """Frames of finished clips as a host IMAGE, `[frames, H, W, 3]` in 0-1."""
    clips = [load_file(file)["frames"] for file in clip_files]
    out = torch.empty((sum(len(clip) for clip in clips), *clips[0].shape[1:]))
    start = 0
    for clip in clips:
        torch.div(clip, 255.0, out=out[start : start + len(clip)])
        start += len(clip)
    return out


def _write_segment(path: Path, pixels: np.ndarray) -> None:
    import av

    height, width = pixels.shape[1:3]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(VIDEO_CODEC, rate=VIDEO_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, VIDEO_FPS)
        # without B-frames packets leave in the order they are shown, and segments join without a gap
        stream.options = {"crf": CONSTANT_QUALITY, "preset": "medium", "bf": "0", "x264-params": TAGS}
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        to_video = _colour_filter(width, height)
        for number, picture in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, stream.time_base
            to_video.push(frame)
            out.mux(stream.encode(to_video.vpull()))
        out.mux(stream.encode(None))


def _colour_filter(width: int, height: int) -> Graph:
    """RGB to the colours the stream is tagged with; left to itself FFmpeg would take BT.601, and round coarsely."""
    import av

    graph = av.filter.Graph()
    form = av.VideoFormat("rgb24")
    source = graph.add_buffer(width=width, height=height, format=form, time_base=Fraction(1, VIDEO_FPS))
    scale = graph.add("scale", f"in_range=pc:out_range=tv:out_color_matrix=bt709:flags={EXACT}")
    graph.link_nodes(source, scale, graph.add("format", "yuv420p"), graph.add("buffersink")).configure()
    return graph


def _join_parts(out: OutputContainer, parts: list[Path], sound: np.ndarray, rate: int) -> None:
    import av

    with av.open(str(parts[0])) as first:
        video = out.add_stream_from_template(first.streams.video[0])
    audio, blocks = _sound_stream(out, sound, rate)
    shown = 0
    for part in parts:
        with av.open(str(part)) as source:
            stream = source.streams.video[0]
            tick = stream.time_base
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                offset = round(Fraction(shown, VIDEO_FPS) / tick)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = video
                out.mux(packet)
            shown += stream.frames
    for block in blocks:
        out.mux(audio.encode(block))
    out.mux(audio.encode(None))


def _sound_stream(out: OutputContainer, sound: np.ndarray, rate: int) -> tuple[AudioStream, Iterator[AudioFrame]]:
    """An AAC stream and the frames to encode into it: mono and stereo as they are, more channels mixed to mono."""
    import av

    channels = sound if sound.shape[0] <= 2 else sound.mean(axis=0, keepdims=True)
    layout = "mono" if channels.shape[0] == 1 else "stereo"
    out_rate = rate if rate in AAC_RATES else AAC_FALLBACK_RATE
    stream = out.add_stream(AUDIO_CODEC, rate=out_rate, layout=layout)
    stream.bit_rate = AUDIO_BITRATE
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=out_rate)

    def blocks() -> Iterator[AudioFrame]:
        for start in range(0, channels.shape[1], SOUND_BLOCK):
            piece = np.ascontiguousarray(channels[:, start : start + SOUND_BLOCK], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            yield from resampler.resample(frame)
        yield from resampler.resample(None)

    return stream, blocks()
