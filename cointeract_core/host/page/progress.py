"""One progress bar over all clips and steps, with preview, text and an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable

import comfy.model_management
import comfy.utils
import latent_preview
from torch import Tensor

from ..objects import Patcher

PREVIEW_FORMAT = "JPEG"


def stop_if_interrupted() -> None:
    """Raise the host's own interruption where the user pressed Interrupt."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def show_text(node_id: str | None, text: str) -> None:
    """Show a line of text on a node, where a page is there to show it."""
    from server import PromptServer  # imported late: it does not exist where only the host's library part is used

    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)


class RunProgress:
    """Progress of a run of `clips` clips with `steps` steps each.

    Args:
        patcher: the model, for the preview's latent format.
        node_id: the node to show it on.
    """

    def __init__(self, patcher: Patcher, clips: int, steps: int, node_id: str | None) -> None:
        self._clips, self._steps, self._node_id = clips, steps, node_id
        self._bar = comfy.utils.ProgressBar(clips * steps, node_id=node_id)
        self._previewer = latent_preview.get_previewer(patcher.load_device, patcher.model.latent_format)
        self._begun = time.monotonic()

    def callback(self, clip: int) -> Callable[[int, Tensor, Tensor, int], None]:
        """A sampler callback for clip number `clip`, counted from 0."""

        def after_step(step: int, denoised: Tensor, _noisy: Tensor, _total: int) -> None:
            done = clip * self._steps + step + 1
            preview = None
            if self._previewer is not None:
                preview = self._previewer.decode_latent_to_preview_image(PREVIEW_FORMAT, denoised)
            show_text(self._node_id, self.text(clip, step + 1))
            self._bar.update_absolute(done, preview=preview)

        return after_step

    def text(self, clip: int, step: int) -> str:
        """``clip 2/4, step 7/40, about 3 min left``."""
        done = clip * self._steps + step
        left = (time.monotonic() - self._begun) / done * (self._clips * self._steps - done)
        return f"clip {clip + 1}/{self._clips}, step {step}/{self._steps}, about {spoken_time(left)} left"

    def say(self, text: str) -> None:
        """Show another line, such as “clip 2/4, decoding”."""
        stop_if_interrupted()
        show_text(self._node_id, text)


def spoken_time(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``2 h 05 min``."""
    if seconds < 90:
        return f"{max(round(seconds), 0)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
