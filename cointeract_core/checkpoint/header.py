"""Names and shapes of a safetensors file, read from its header: no tensor is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..errors import ModelFileError, name_some

SUFFIXES = (".safetensors", ".sft")
SHARD = re.compile(r"^(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.safetensors|\.sft)$")
# how files that are something else begin, and what they are
OTHER_BEGINNINGS = (
    (b"PK\x03\x04", "a PyTorch file (a zipped pickle)"),
    (b"\x80\x02", "a PyTorch file (a pickle)"),
    (b"\x80\x04", "a pickle"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file it points to"),
    (b"<", "a web page instead of a download"),
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape and safetensors dtype name (`BF16`, `F8_E4M3`) of a tensor; other formats leave the dtype empty."""

    shape: tuple[int, ...]
    dtype: str = ""


Header = dict[str, TensorInfo]


def read_header(path: Path, what: str) -> Header:
    """Names, shapes and dtypes of a safetensors file.

    Args:
        what: the input the file was chosen for, as the user knows it.

    Raises:
        ModelFileError: empty, truncated, or not a safetensors file.
    """
    try:
        if path.stat().st_size == 0:
            raise ModelFileError(f"{what} {path.name} is empty, but a model was expected; download it again.")
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: TensorInfo(tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
    except SafetensorError as error:
        raise ModelFileError(_sentence(path, what)) from error
    except OSError as error:
        raise ModelFileError(
            f"{what} {path.name} cannot be read ({error.strerror or error}), but a safetensors file was expected; look "
            "at the file and who may read it."
        ) from error


def _sentence(path: Path, what: str) -> str:
    with path.open("rb") as file:
        beginning = file.read(64).lstrip()
    for mark, kind in OTHER_BEGINNINGS:
        if beginning.startswith(mark):
            return (
                f"{what} {path.name} is {kind}, but a safetensors file was expected; download the original file, "
                "renaming does not convert it."
            )
    return (
        f"{what} {path.name} is cut off or damaged ({path.stat().st_size:,} bytes do not match its header), but a "
        "whole safetensors file was expected; download it again."
    )


def shard_files(path: Path, what: str) -> list[Path]:
    """All files of the model `path` belongs to: its shards in order, or `path` alone.

    Raises:
        ModelFileError: shards that are not beside it.
    """
    found = SHARD.match(path.name)
    if not found:
        return [path]
    count = int(found["count"])
    paths = [
        path.with_name(f"{found['stem']}-{index:05}-of-{found['count']}{found['suffix']}")
        for index in range(1, count + 1)
    ]
    missing = [shard.name for shard in paths if not shard.is_file()]
    if missing:
        raise ModelFileError(
            f"{what} {path.name} is one of {count} shards, but {name_some(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not beside it; put all {count} into the same folder."
        )
    return paths


def is_later_shard(name: str) -> bool:
    """Whether a file name is that of a shard other than the first."""
    found = SHARD.match(Path(name).name)
    return found is not None and int(found["index"]) != 1


def read_headers(paths: list[Path], what: str) -> Header:
    """One header over all shards.

    Raises:
        ModelFileError: a damaged shard, or two shards with the same tensor.
    """
    header: Header = {}
    for path in paths:
        part = read_header(path, what)
        twice = header.keys() & part.keys()
        if twice:
            raise ModelFileError(
                f"{what} {path.name} repeats tensors of the shards before it ({name_some(twice)}), but each was "
                "expected once; download the shards again."
            )
        header |= part
    return header
