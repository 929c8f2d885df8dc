"""Encoded rows on disk, so that encoders run once and leave memory.

A row has three parts, each a file named by the hash of everything it was made from: its texts, its speech, its
latents.  Changing a prompt makes new texts only; a cut-off run finds what it finished.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ...checkpoint.save import save_tensors
from ...errors import InputError
from ...leftovers import sweep
from ..table.preflight import CheckedRow
from .sample import PromptContexts, TrainingSample, without_zeros

log = logging.getLogger("cointeract")

VERSION = 2  # of how rows are encoded; a new number makes every part new
STAMP_BLOCK = 1 << 20  # bytes read at each place of a large file
STAMP_PLACES = 16
LEFT_OVER_AFTER = 3600.0  # seconds; nothing takes that long to write
TEXT, SPEECH, LATENTS = "text", "speech", "latents"
LENGTH = ".tokens"  # behind a text's name: how many it has with the zeros that are left out
ROOM = 2 << 30  # bytes for rows kept in memory, of each process


@dataclass(frozen=True, slots=True)
class EncoderStamps:
    """Stamps of the three encoder files."""

    vae: str
    text: str
    audio: str


@dataclass(frozen=True, slots=True)
class SampleKeys:
    """Names of a row's parts in the cache."""

    text: str
    speech: str
    latents: str


class SampleCache:
    """Parts of encoded rows in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tidy(self) -> None:
        """Remove what a run that was killed had begun to write, never what another is writing."""
        sweep(self._folder)
        for path in list(self._folder.glob(".*.safetensors.[0-9]*.part")):  # as earlier versions named them
            with suppress(FileNotFoundError):  # finished by another run this moment
                if path.stat().st_mtime < time.time() - LEFT_OVER_AFTER:
                    path.unlink()
                    log.info("%s was left half-written and is removed", path.name)

    def has(self, kind: str, key: str) -> bool:
        """Whether a part is there and whole; a damaged one is removed."""
        path = self._path(kind, key)
        if not path.is_file():
            return False
        try:
            with safe_open(path, "pt"):  # compares the header with the length of the file
                return True
        except SafetensorError:
            log.warning("%s is damaged and is made again", path.name)
            path.unlink()
            return False

    def put(self, kind: str, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store a part: beside its place first, then under its name in one step."""
        self._folder.mkdir(parents=True, exist_ok=True)
        here = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        if kind == TEXT:
            here = {name: without_zeros(text) for name, text in here.items()} | {
                name + LENGTH: torch.tensor(text.shape[1]) for name, text in here.items()
            }
        save_tensors(here, self._path(kind, key), elsewhere=False)

    def load(self, checked: CheckedRow, keys: SampleKeys) -> TrainingSample:
        """A row's parts together, on the CPU.

        Raises:
            InputError: a part that was removed or damaged since it was made.
        """
        texts, speech, latents = (
            self._read(kind, key, checked.row.number)
            for kind, key in ((TEXT, keys.text), (SPEECH, keys.speech), (LATENTS, keys.latents))
        )
        return TrainingSample(
            joint=latents.get("joint"),
            alone=latents["alone"],
            person=latents["person"],
            product=latents.get("product"),
            hoi=latents.get("hoi"),
            pose=latents.get("pose"),
            audio=speech["audio"],
            prompts=_prompts(texts),
            token_masks=checked.token_masks,
            product_scale=checked.row.product_scale,
        )

    def _read(self, kind: str, key: str, row: int) -> dict[str, Tensor]:
        path = self._path(kind, key)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"The {kind} of row {row} cannot be read from the cache ({path.name}), but it was encoded before; "
                "start the run again, which encodes it anew."
            ) from error

    def _path(self, kind: str, key: str) -> Path:
        return self._folder / f"{kind}_{key}.safetensors"


@dataclass(slots=True)
class KeptSamples:
    """Samples by row number; those beyond the room are read whenever their turn comes.

    Nobody writes to a sample, so one copy serves all steps.

    Attributes:
        room: bytes.
    """

    room: int = ROOM
    _kept: dict[int, TrainingSample] = field(default_factory=dict)

    def get(self, number: int, load: Callable[[], TrainingSample]) -> TrainingSample:
        """The sample of a row, loaded where it is not here."""
        if number in self._kept:
            return self._kept[number]
        sample = load()
        size = size_of(sample)
        if size <= self.room:
            self.room -= size
            self._kept[number] = sample
        return sample


def size_of(sample: TrainingSample) -> int:
    """Bytes of all its tensors."""
    return sum(tensor.untyped_storage().nbytes() for tensor in _tensors(sample))


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for one in fields(value):
            yield from _tensors(getattr(value, one.name))


def _prompts(found: Mapping[str, Tensor]) -> PromptContexts:
    """Texts of a file; older ones hold them with their zeros."""
    tokens = {name.removesuffix(LENGTH): int(tensor) for name, tensor in found.items() if name.endswith(LENGTH)}
    return PromptContexts(**{name: found[name] for name in found if not name.endswith(LENGTH)}, tokens=tokens)


def sample_keys(checked: CheckedRow, stamps: EncoderStamps) -> SampleKeys:
    """Names of a row's parts: hashes of what they are made from."""
    row, plan = checked.row, checked.plan
    pictures = (row.person_image, row.product_image, row.input_video, row.motion_video, row.hoi_video, row.pose_video)
    shown = [None if path is None else _content(path) for path in pictures]
    frames = [plan.target, plan.motion, plan.hoi, plan.pose]
    return SampleKeys(
        text=_hash(TEXT, row.prompt, stamps.text),
        speech=_hash(SPEECH, _content(row.audio), checked.latents, stamps.audio),
        latents=_hash(LATENTS, shown, frames, checked.size.width, checked.size.height, stamps.vae),
    )


def file_stamp(path: Path) -> str:
    """Hash of a large file that reads little of it: its size, its beginning, its end and places between."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for place in range(STAMP_PLACES):
            file.seek(max(size - STAMP_BLOCK, 0) * place // (STAMP_PLACES - 1))
            digest.update(file.read(STAMP_BLOCK))
    return digest.hexdigest()


def _content(path: Path) -> str:
    """Hash of a whole file; ``hashlib.file_digest`` is not in Python 3.10."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(STAMP_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()[:32]
