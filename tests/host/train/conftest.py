"""Fixtures of tests that encode rows: the files of the encoders, a table, and a cache that was filled from both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cointeract_pack.cointeract_core.host.files.load_encoders import EncoderFiles


@pytest.fixture(scope="module")
def encoder_files(base_directory: Path, repo: Path) -> Iterator[EncoderFiles]:
    """The tiny encoder files in the host's folders, and the sizes of the text encoder known to the host."""
    import folder_paths

    from cointeract_pack.tests.host.tiny_config import tiny_host_config
    from cointeract_pack.tests.host.train.encoding import FILES, FOLDERS

    copies = []
    for folder in FOLDERS:
        place = Path(folder_paths.get_folder_paths(folder)[0])
        place.mkdir(parents=True, exist_ok=True)
        for file in (base_directory / "models" / folder).iterdir():
            copies.append(Path(shutil.copy(file, place)))
    with tiny_host_config(repo):
        yield FILES
    for copy in copies:
        copy.unlink()


@pytest.fixture(scope="module")
def train_table(base_directory: Path, tmp_path_factory) -> Path:
    """A folder of its own with the project's training row."""
    folder = tmp_path_factory.mktemp("rows") / "train"
    shutil.copytree(base_directory / "input" / "cointeract_train", folder)
    return folder / "data.csv"


@pytest.fixture(scope="module")
def filled_cache(encoder_files, train_table, tmp_path_factory):
    """A folder of encoded parts, the row they were made from, and its keys."""
    from cointeract_pack.cointeract_core.host.train.encode_rows import fill_cache
    from cointeract_pack.cointeract_core.training.step.cache import SampleCache
    from cointeract_pack.tests.host.train.encoding import checked_row, nothing

    folder = tmp_path_factory.mktemp("cache")
    row = checked_row(train_table)
    keys = fill_cache([row], encoder_files, SampleCache(folder), nothing)
    return folder, row, keys[0]
