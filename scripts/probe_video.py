"""Say what is in a video or audio file, read with PyAV.

python scripts/probe_video.py FILE     prints one JSON object
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STILL = 0.5  # of 255: a spread of pixels or a change between frames below this cannot be seen
SILENT = 1e-4  # of 1


def probe(path: Path) -> dict[str, Any]:
    """Decode the whole file and describe it.

    Returns:
        `width`, `height`, `fps`, `frames` (decoded ones), `seconds` and `constant` (one colour, or every frame the
        same) of the picture, and `audio`, None or its `codec`, `rate`, `channels` and `seconds`, and `silent`. Without
        a picture `frames` is 0.
    """
    import av

    with av.open(str(path)) as file:
        sound = _sound(file) if file.streams.audio else None
    with av.open(str(path)) as file:
        picture = _picture(file) if file.streams.video else {"frames": 0}
    silent = sound is None or sound.pop("peak") < SILENT
    return {**picture, "audio": sound, "silent": silent}


def _picture(file: Any) -> dict[str, Any]:
    import numpy

    stream = file.streams.video[0]
    frames, spread, change, first = 0, 0.0, 0.0, None
    for frame in file.decode(stream):
        pixels = frame.to_ndarray(format="rgb24").astype(numpy.int16)
        first = pixels if first is None else first
        spread = max(spread, float(pixels.std()))
        change = max(change, float(numpy.abs(pixels - first).mean()))
        frames += 1
    fps = float(stream.average_rate)
    return {
        "width": stream.width,
        "height": stream.height,
        "codec": stream.codec_context.name,
        "fps": fps,
        "frames": frames,
        "seconds": frames / fps,
        "constant": spread < STILL or change < STILL,
    }


def _sound(file: Any) -> dict[str, Any]:
    import numpy

    stream = file.streams.audio[0]
    samples, peak = 0, 0.0
    for frame in file.decode(stream):
        values = frame.to_ndarray()
        scale = numpy.iinfo(values.dtype).max if numpy.issubdtype(values.dtype, numpy.integer) else 1.0
        peak = max(peak, float(numpy.abs(values.astype(numpy.float64)).max(initial=0.0)) / scale)
        samples += frame.samples
    rate = stream.codec_context.sample_rate
    return {
        "codec": stream.codec_context.name,
        "rate": rate,
        "channels": stream.codec_context.channels,
        "seconds": samples / rate,
        "peak": peak,
    }


if __name__ == "__main__":
    print(json.dumps(probe(Path(sys.argv[1]))))
