"""Clips of few latents: 17 frames and their sound, without motion frames, from the check of the table to the file."""

from __future__ import annotations

import csv
import json
import shutil
import wave
from itertools import islice
from pathlib import Path

import av
import pytest
from safetensors.torch import load_file

from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.preflight import check_table
from cointeract_pack.tests.host.train.test_command import Command

LATENTS, FRAMES, FPS = 4, 17, 25
KEYS = {f"frame_{4 * latent + 2}" for latent in range(LATENTS)}


def cut_video(source: Path, target: Path) -> None:
    """The first 17 frames."""
    with av.open(str(source)) as video, av.open(str(target), "w") as out:
        frames = list(islice(video.decode(video=0), FRAMES))
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        out.mux(stream.encode())


def cut_sound(source: Path, target: Path) -> None:
    with wave.open(str(source)) as sound, wave.open(str(target), "wb") as out:
        out.setparams(sound.getparams())
        out.writeframes(sound.readframes(sound.getframerate() * FRAMES // FPS))


@pytest.fixture(scope="module")
def short_table(base_directory, tmp_path_factory):
    """Two rows of the training footage cut short; the second has neither product, HOI, pose nor boxes."""
    source, folder = base_directory / "input" / "cointeract_train", tmp_path_factory.mktemp("short") / "rows"
    folder.mkdir()
    for name in ("input", "hoi", "pose"):
        cut_video(source / f"{name}.mp4", folder / f"{name}.mp4")
    cut_sound(source / "speech.wav", folder / "speech.wav")
    for name in ("person.png", "product.png"):
        shutil.copy(source / name, folder)
    with (source / "data.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    row["motion_video"] = ""
    for column in ("face", "hand_object"):
        row[column] = json.dumps({key: box for key, box in json.loads(row[column]).items() if key in KEYS})
    bare = {**row, **dict.fromkeys(("product_image", "hoi_video", "pose_video", "face", "hand_object"), "")}
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows([row, bare])
    return folder / "data.csv"


def test_rows_of_17_frames_are_clips_of_four_latents(short_table):
    found = check_table(short_table, size=VideoSize(64, 96), max_pixels=1, latents=LATENTS)
    assert found.problems == (), found.report
    assert [checked.latents for checked in found.rows] == [LATENTS, LATENTS]
    first, second = found.rows
    assert first.plan.motion is None
    assert len(first.token_masks.face) == LATENTS * 24
    assert first.token_masks.face.any()
    assert second.token_masks is None


@pytest.fixture(scope="module")
def command(repo, host, base_directory, short_table, tmp_path_factory):
    base = tmp_path_factory.mktemp("short training base")
    shutil.copytree(base_directory / "models", base / "models", ignore=shutil.ignore_patterns("loras"))
    for folder in ("input", "output", "temp", "user", "custom_nodes"):
        (base / folder).mkdir()
    shutil.copytree(short_table.parent, base / "input" / "cointeract_train")
    return Command(repo, host, base)


@pytest.mark.parametrize("train", ["lora", "full"])
def test_they_train_and_are_saved(train, command):
    config = command.config(train, steps=3, sample_every=3)
    text = config.read_text(encoding="utf-8").replace("latents = 2", f"latents = {LATENTS}")
    text = text.replace("[model]\n", f'[model]\ntrain = "{train}"\n').replace("[data]\n", "[data]\n\n")
    text = text.replace("[optimizer]\n", "[optimizer]\nbatch_size = 2\n")
    config.write_text(text.replace("height = 64", "height = 96"), encoding="utf-8")
    status, output = command.run(config)
    assert status == 0, output
    rows = command.rows(train)
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    assert all(float(row["gradient_norm"]) > 0 for row in rows)
    kind = "diffusion_models" if train == "full" else "loras"
    assert load_file(command.base / "models" / kind / "CoInteract" / f"{train}.safetensors")
    with av.open(str(command.folder(train) / "samples" / "step_00000003.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == LATENTS * 4
