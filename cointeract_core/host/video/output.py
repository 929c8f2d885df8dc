"""Where files go: always inside the host's own output and temp folders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import folder_paths

from ...clips.filename import fill_prefix
from ...errors import InputError, shown
from ...leftovers import sweep, writer_mark


def prefix_problem(filename_prefix: object) -> str | None:
    """What is wrong with a prefix before anything runs; values of other nodes are not known yet."""
    if not isinstance(filename_prefix, str):
        return None
    try:
        fill_prefix(filename_prefix, width=1, height=1, now=datetime.now(), value_of=lambda _node, _name: "x")
    except InputError as error:
        return str(error)
    return None


def new_video_paths(
    filename_prefix: str, width: int, height: int, value_of: Callable[[str, str], object] = lambda _node, _name: None
) -> tuple[Path, Path]:
    """A free mp4 path below the output folder, and a work folder below the temp folder.

    Args:
        value_of: see `fill_prefix`.

    Raises:
        InputError: the prefix leads outside the output folder, or no file can have it, here or elsewhere.
    """
    output = Path(folder_paths.get_output_directory()).resolve()
    prefix = fill_prefix(filename_prefix, width=width, height=height, now=datetime.now(), value_of=value_of)
    try:
        if not (output / prefix).resolve().is_relative_to(output):
            raise InputError(
                f"filename_prefix is “{shown(filename_prefix)}”, which does not name a file inside ComfyUI's output "
                "folder; use a name such as CoInteract/ad."
            )
        folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, str(output), width, height)
        path = Path(folder) / f"{name}_{counter:05}_.mp4"
        sweep(path.parent)  # what a run that was killed had begun to join
        temp = Path(folder_paths.get_temp_directory())
        temp.mkdir(parents=True, exist_ok=True)
        return path, Path(tempfile.mkdtemp(prefix=f"cointeract_{path.stem}.{writer_mark()}_", dir=temp))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"filename_prefix is “{shown(filename_prefix)}”, but this system cannot make such a file in {output} "
            f"({reason}); use a name such as CoInteract/ad, or look at the folder."
        ) from error


def output_location(path: Path) -> tuple[str, str]:
    """File name and subfolder of a file in the output folder, as the page asks for it."""
    output = Path(folder_paths.get_output_directory()).resolve()
    return path.name, path.resolve().parent.relative_to(output).as_posix().removeprefix(".")
