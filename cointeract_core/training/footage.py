"""What a training row is read with: the reader of `media`, under the names of this package."""

from __future__ import annotations

from ..media.picture import read_picture
from ..media.sound import read_audio
from ..media.video import Fit, Footage, probe_video, read_frames

__all__ = ["Fit", "Footage", "probe_video", "read_audio", "read_frames", "read_picture"]
