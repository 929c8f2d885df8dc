"""A real ComfyUI server on a free loopback port, with a base directory of its own, stopped whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import ROOT, Host, SetupError, say, show_tail

PACK_FOLDER = "ComfyUI-CoInteract"
TEST_PACK = ROOT / "scripts" / "tiny" / "tiny_host_config"
FOLDERS = ("models", "input", "output", "temp", "user", "custom_nodes")
START_LIMIT = 240.0  # seconds; 8 are usual, a busy machine with cold disks takes a minute
STOP_LIMIT = 10.0  # seconds
# without these the page covers the graph with its tour and hides the text of small nodes
PAGE_SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Notification.ShowVersionUpdates": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,
    "LiteGraph.Canvas.LowQualityRenderingZoomThreshold": 0,
    "Comfy.Minimap.Visible": False,
}
FRONTEND_VARIABLE = "COINTERACT_FRONTEND"  # folder of another page than ComfyUI's own
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on the loopback


def fetch_json(url: str, body: Any = None, timeout: float = 30.0) -> Any:
    """GET `url`, or POST `body` to it as JSON, and return the parsed answer.

    Raises:
        urllib.error.URLError, TimeoutError, ValueError: as urllib and json raise them.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with _direct.open(request, timeout=timeout) as answer:
        return json.loads(answer.read())


def link(target: Path, place: Path) -> None:
    """Make `place` show the folder `target`: a symlink, a junction, or a copy where neither is allowed."""
    if place.exists() and place.resolve() == target.resolve():
        return
    _remove(place)
    try:
        place.symlink_to(target, target_is_directory=True)
        return
    except OSError:  # Windows without the right to make symlinks
        pass
    if os.name == "nt":
        made = subprocess.run(["cmd", "/c", "mklink", "/J", str(place), str(target)], capture_output=True, check=False)
        if not made.returncode:
            return
    _copy_tracked(target, place)


def _remove(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        try:
            place.rmdir()  # a junction, or empty
        except OSError:
            shutil.rmtree(place)


def _copy_tracked(target: Path, place: Path) -> None:
    """Copy a folder without what git ignores, which may lie below the copy's own place."""
    listed = subprocess.run(["git", "-C", str(target), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode:
        shutil.copytree(target, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (target / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target / name, place / name)


def make_base(folder: Path, models_from: Path | None = None, inputs_from: Path | None = None) -> Path:
    """Make or complete a base directory: the host's folders, this pack and the settings of the page.

    Args:
        folder: the base directory.
        models_from: a `models` folder to copy; the tiny files are small.
        inputs_from: an `input` folder to copy.
    """
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for source, name in ((models_from, "models"), (inputs_from, "input")):
        if source is not None:
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
    link(ROOT, folder / "custom_nodes" / PACK_FOLDER)
    link(TEST_PACK, folder / "custom_nodes" / TEST_PACK.name)
    settings = folder / "user" / "default" / "comfy.settings.json"
    if not settings.is_file():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(PAGE_SETTINGS, indent=1), encoding="utf-8")
    return folder


def has_cuda(python: Path) -> bool:
    """Whether the host's PyTorch sees a CUDA device."""
    probe = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return not subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode


def find_frontend(folder: Path) -> Path:
    """A folder with the page, as ComfyUI's --front-end-root takes it.

    Raises:
        SetupError: it holds no page.
    """
    folder = folder.expanduser().resolve()
    if not (folder / "index.html").is_file():
        raise SetupError(f"{folder} holds no page of ComfyUI: name the folder with its index.html.")
    return folder


def _frontend_options() -> list[str]:
    """The page named in the environment; none for ComfyUI's own."""
    named = os.environ.get(FRONTEND_VARIABLE)
    return ["--front-end-root", str(find_frontend(Path(named)))] if named else []


class Server:
    """One ComfyUI process; `start` waits until it answers, `stop` ends it and its children."""

    def __init__(self, host: Host, base: Path, log: Path | None = None) -> None:
        self.host = host
        self.base = base.resolve()
        self.log = log or self.base / "server.log"
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server.

        Raises:
            SetupError: it ended or did not answer in time; the end of its log is shown.
        """
        port = _free_port()
        command = [self.host.python, self.host.tree / "main.py", "--listen", "127.0.0.1", "--port", port]
        command += ["--disable-auto-launch", "--preview-method", "latent2rgb", "--base-directory", self.base]
        command += ["--database-url", f"sqlite:///{(self.base / 'user' / 'comfyui.db').as_posix()}"]
        command += _frontend_options()
        command += [] if has_cuda(self.host.python) else ["--cpu"]
        own_group = {"start_new_session": True} if os.name == "posix" else {}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.host.tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **own_group,
            )
        atexit.register(self.stop)
        self._wait_for(f"http://127.0.0.1:{port}")

    def _wait_for(self, address: str) -> None:
        deadline = time.monotonic() + START_LIMIT
        while self.running() and time.monotonic() < deadline:
            try:
                fetch_json(address + "/system_stats", timeout=5)
            except (urllib.error.URLError, OSError, ValueError):
                time.sleep(0.2)
                continue
            self.address = address
            return
        ended = not self.running()
        self.stop()
        what = "ended before it answered" if ended else f"did not answer within {START_LIMIT:.0f} seconds"
        raise self.failure(f"The ComfyUI server {what}")

    def failure(self, sentence: str) -> SetupError:
        """An error about this server, below the end of its log."""
        show_tail(self.log.read_text(encoding="utf-8", errors="replace"))
        return SetupError(f"{sentence}: see its log, {self.log}.")

    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server and everything it started."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        _end(process, force=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
        _end(process, force=True)  # also children that outlived it
        process.wait()


def _end(process: subprocess.Popen[bytes], force: bool) -> None:
    if os.name != "posix":
        if process.poll() is None:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group is gone already
        os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_server(host: Host, base: Path) -> Iterator[Server]:
    """A started server that is stopped at the end."""
    server = Server(host, base)
    try:
        say("starting ComfyUI")
        server.start()
        say(f"ComfyUI answers at {server.address}")
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def test_server(host: Path, base_directory: Path, folder: Path) -> Iterator[Server]:
    """The tests' server: run by this Python, with copies of the tiny models and inputs in a fresh base directory.

    Args:
        host: the ComfyUI tree.
        base_directory: where the set-up left the models and inputs.
        folder: the new base directory.
    """
    make_base(folder, base_directory / "models", base_directory / "input")
    with running_server(Host(Path(sys.executable), host), folder) as server:
        yield server
