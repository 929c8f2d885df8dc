"""What a user sees of a training run: the bar and a line of text on the node, the curves beside it, the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import comfy.utils
from comfy.model_management import InterruptProcessingException

from ..page.live import LiveRun
from ..page.progress import show_text, spoken_time, stop_if_interrupted

log = logging.getLogger("cointeract")

DONE, STOPPED, FAILED = "done", "stopped", "failed"
SHOW_EVERY, LOG_EVERY = 1.0, 10.0  # seconds


class TrainingProgress:
    """Progress of one run.

    Args:
        name: of the run.
        steps: it will have in all.
        node_id: the node to show it on, None from the shell.
        quiet: show nothing, for all but the first of several processes.
    """

    def __init__(self, name: str, steps: int, node_id: str | None, *, quiet: bool = False) -> None:
        self._steps, self._node_id = steps, node_id
        self._bar = comfy.utils.ProgressBar(steps, node_id=node_id)
        self._live = None if quiet else LiveRun(name, steps, node_id)
        self._begun: tuple[int, float] | None = None  # steps and time when the first step was done
        self._shown = self._logged = 0.0

    def encoding(self, done: int, total: int, text: str) -> None:
        """Told by the cache: `done` of `total` rows."""
        self._say(f"encoding, {text}" if total else text)

    def after_step(self, step: int, values: Mapping[str, float | None]) -> None:
        """Told by the trainer after every step."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = (step - 1, now - (values.get("seconds") or 0.0))
        each = (now - self._begun[1]) / (step - self._begun[0])
        left = spoken_time(each * (self._steps - step))
        text = f"step {step}/{self._steps}, loss {values['loss']:.4f}, about {left} left"
        if self._live is not None:
            self._live.add(step, values, text)
            self._bar.update_absolute(step)
            if now - self._shown > SHOW_EVERY or step == self._steps:
                self._shown = now
                show_text(self._node_id, text)
            if now - self._logged > LOG_EVERY or step == self._steps:
                self._logged = now
                log.info("%s", text)
        stop_if_interrupted()

    def say(self, text: str) -> None:
        """Show another line, such as “making a sample video”."""
        stop_if_interrupted()
        self._say(text)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Tell the page how the run ended."""
        state = FAILED
        try:
            yield
            state = DONE
        except (InterruptProcessingException, KeyboardInterrupt):
            state = STOPPED
            raise
        finally:
            if self._live is not None:
                self._live.close(state)

    def _say(self, text: str) -> None:
        if self._live is not None:
            self._live.say(text)
            show_text(self._node_id, text)
            log.info("%s", text)
