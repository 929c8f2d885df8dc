"""What tests of encoded rows share: tiny encoder files, and helpers to look into a cache."""

from __future__ import annotations

from pathlib import Path

from cointeract_pack.cointeract_core.host.files.load_encoders import EncoderFiles
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import CheckedRow, check_table

FILES = EncoderFiles("wan_2.1_vae_tiny.safetensors", "umt5_xxl_tiny.pt", "wav2vec2_large_xlsr53_chinese_tiny.pt")
FOLDERS = ("vae", "text_encoders", "audio_encoders")
LATENTS = 3


def checked_row(table: Path, latents: int = LATENTS) -> CheckedRow:
    found = check_table(table, size=VideoSize(64, 96), max_pixels=1, latents=latents)
    assert not found.problems, found.report
    return found.rows[0]


def nothing(*_: object) -> None:
    """No progress."""


def kinds_of(folder: Path) -> list[str]:
    return sorted(path.name.split("_")[0] for path in folder.iterdir())


def files_of(folder: Path) -> dict[str, tuple[str, int]]:
    return {path.name.split("_")[0]: (path.name, path.stat().st_mtime_ns) for path in folder.iterdir()}
