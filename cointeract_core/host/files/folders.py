"""Model files in the host's folders: what to offer, and where a name lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ...checkpoint.header import SUFFIXES, is_later_shard, shard_files
from ...errors import ModelFileError

BASE_FOLDERS = ("diffusion_models", "unet_gguf")  # the second is registered by the ComfyUI-GGUF pack
ADAPTER_FOLDERS = ("model_patches", "loras")
LORA_FOLDERS = ("loras", "model_patches")
GGUF = ".gguf"
NO_ADAPTER = "none"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model a user chose.

    Attributes:
        what: the input and the name in it, as errors say it.
        paths: its file, or its shards in order.
    """

    what: str
    paths: tuple[Path, ...]

    @property
    def is_gguf(self) -> bool:
        """Whether it needs the ComfyUI-GGUF pack."""
        return self.paths[0].suffix.lower() == GGUF

    @property
    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Changes when a file is replaced."""
        return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in self.paths)


def _names(folders: tuple[str, ...], suffixes: tuple[str, ...]) -> list[str]:
    known = [folder for folder in folders if folder in folder_paths.folder_names_and_paths]
    listed = dict.fromkeys(name for folder in known for name in folder_paths.get_filename_list(folder))
    return [name for name in listed if name.lower().endswith(suffixes) and not is_later_shard(name)]


def base_names() -> list[str]:
    """Files to offer as base; of sharded models the first shard."""
    return _names(BASE_FOLDERS, (*SUFFIXES, GGUF))


def adapter_names() -> list[str]:
    """Files to offer as adapter, after the choice of none."""
    return [NO_ADAPTER, *_names(ADAPTER_FOLDERS, SUFFIXES)]


def lora_names() -> list[str]:
    """Files to offer as a LoRA."""
    return _names(LORA_FOLDERS, SUFFIXES)


def find_lora(name: str) -> ModelFile:
    """The LoRA of that name.

    Raises:
        ModelFileError: no such file.
    """
    return _find("LoRA", name, LORA_FOLDERS)


def find_base(name: str) -> ModelFile:
    """The base of that name with all its shards.

    Raises:
        ModelFileError: no such file, or missing shards.
    """
    return _find("base", name, BASE_FOLDERS)


def find_adapter(name: str | None) -> ModelFile | None:
    """The adapter of that name, None for none.

    Raises:
        ModelFileError: no such file.
    """
    return None if name in (None, NO_ADAPTER) else _find("adapter", name, ADAPTER_FOLDERS)


def _find(role: str, name: str, folders: tuple[str, ...]) -> ModelFile:
    for folder in folders:
        if folder in folder_paths.folder_names_and_paths:
            path = folder_paths.get_full_path(folder, name)
            if path is not None:
                return ModelFile(f"{role} {name}", tuple(shard_files(Path(path), role)))
    where = " or ".join(f"models/{folder}" for folder in folders if folder != "unet_gguf")
    raise ModelFileError(f"{role} {name} is not in {where}; put the file there and refresh the page.")


def encoder_names(folder: str) -> list[str]:
    """Files of one of the host's folders, such as `vae`."""
    names: list[str] = folder_paths.get_filename_list(folder)
    return names
