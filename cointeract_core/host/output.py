"""Where files go: always inside the host's own output and temp folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

import folder_paths

from ..errors import InputError


def new_video_paths(filename_prefix: str, width: int, height: int) -> tuple[Path, Path]:
    """A free mp4 path below the output folder, and a work folder below the temp folder.

    Raises:
        InputError: the prefix leads outside the output folder.
    """
    output = Path(folder_paths.get_output_directory()).resolve()
    if not (output / filename_prefix).resolve().is_relative_to(output) or not Path(filename_prefix).name:
        raise InputError(
            f"filename_prefix is “{filename_prefix}”, which does not name a file inside ComfyUI's output folder; "
            "use a name such as CoInteract/ad."
        )
    folder, name, counter, _, _ = folder_paths.get_save_image_path(filename_prefix, str(output), width, height)
    path = Path(folder) / f"{name}_{counter:05}_.mp4"
    temp = Path(folder_paths.get_temp_directory())
    temp.mkdir(parents=True, exist_ok=True)
    return path, Path(tempfile.mkdtemp(prefix=f"cointeract_{path.stem}_", dir=temp))


def output_location(path: Path) -> tuple[str, str]:
    """File name and subfolder of a file in the output folder, as the page asks for it."""
    output = Path(folder_paths.get_output_directory()).resolve()
    return path.name, path.resolve().parent.relative_to(output).as_posix().removeprefix(".")
