"""The training command: settings from a file, the host without its server, several processes by Accelerate."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from ...errors import CoInteractError
from ...training.run.engine import AccelerateEngine, Engine
from ...training.settings.sections import TrainSettings
from ...training.settings.toml import load_settings
from ..model.standalone import settle_device

log = logging.getLogger("cointeract")

PROCESSES = "WORLD_SIZE"  # set by accelerate launch, torchrun and others
LOCAL_RANK = "LOCAL_RANK"  # the process's number on its machine
STOPPING = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
EXTRA_PATHS = "extra_model_paths.yaml"


def run_command(config: Path, tree: Path, base: Path | None, *, cpu: bool, check_only: bool) -> int:
    """Train as `config` says.

    Args:
        config: TOML file.
        tree: ComfyUI's folder, already on the path.
        base: where models, input and output lie, if not in `tree`.
        check_only: stop after the checks.

    Returns:
        the exit status: 0, 1 for what a user can mend, 130 where the run was interrupted.
    """
    with _told(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING):
        try:
            settings = load_settings(config)
            if not cpu:
                _take_own_card()
            settle_device(True if cpu else None)
            _settle_folders(tree, base)
            return _train(settings, (config.parent / settings.data.table).resolve(), cpu, check_only)
        except CoInteractError as error:
            sys.stderr.write(f"{error}\n")
            return 1


def _take_own_card() -> None:
    """Before the host looks at the current card, which would leave a context of every process on the first one."""
    number = int(os.environ.get(LOCAL_RANK, "0"))
    if torch.cuda.is_available() and number < torch.cuda.device_count():
        torch.cuda.set_device(number)


@contextmanager
def _told(level: int) -> Iterator[None]:
    """Show the pack's own messages on the standard output for as long as the context lasts."""
    shown = logging.StreamHandler(sys.stdout)
    before, spreads = log.level, log.propagate
    log.addHandler(shown)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(shown)
        log.setLevel(before)
        log.propagate = spreads


def _settle_folders(tree: Path, base: Path | None) -> None:
    """Let the host find its folders as its own program would."""
    from comfy.cli_args import args

    args.base_directory = str(base.resolve()) if base else None
    import utils.extra_config

    extra = tree / EXTRA_PATHS
    if base is None and extra.is_file():
        utils.extra_config.load_extra_path_config(str(extra))


def _train(settings: TrainSettings, table: Path, cpu: bool, check_only: bool) -> int:
    from comfy.model_management import InterruptProcessingException

    from ...training.table.preflight import check_table
    from .session import plan_run, run_training

    data = settings.data
    preflight = check_table(table, size=data.size, max_pixels=data.max_pixels, latents=data.latents)
    log.info("%s", preflight.report)
    plan = plan_run(settings, preflight)
    if check_only:
        return 0
    engine: Engine | None = AccelerateEngine(cpu) if PROCESSES in os.environ else None
    try:
        with _stopping_by_signal():
            finished = run_training(plan, engine=engine)
    except InterruptProcessingException:
        log.info("The run is saved: the same command goes on from here.")
        return INTERRUPTED
    for path in finished.files:
        log.info("%s", path)
    return 0


@contextmanager
def _stopping_by_signal() -> Iterator[None]:
    """Ctrl+C and `kill` end the run at the next block of the model, with its state saved; a second one ends it at once.

    Python calls a handler only between two lines of the main thread, which waits in C++ for as long as a card runs the
    backward pass.  So the signal's number also goes, at once, into a pipe that a thread listens to.
    """
    from comfy.model_management import interrupt_current_processing

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        interrupt_current_processing(True)

    def listen(pipe: int) -> None:
        while number := os.read(pipe, 1):
            if number[0] in STOPPING:
                interrupt_current_processing(True)
                return

    before = {number: signal.signal(number, stop) for number in STOPPING}
    listening, told = os.pipe()
    thread = threading.Thread(target=listen, args=(listening,), name="cointeract stop", daemon=True)
    woken = signal.set_wakeup_fd(told, warn_on_full_buffer=False) if _never_waits(told) else None
    thread.start()
    try:
        yield
    finally:
        if woken is not None:
            signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        thread.join()
        os.close(listening)


def _never_waits(pipe: int) -> bool:
    """Make writing into a pipe never wait, as Python asks for; Windows can do so from Python 3.12 on."""
    try:
        os.set_blocking(pipe, False)
    except (AttributeError, OSError):
        return False
    return True
