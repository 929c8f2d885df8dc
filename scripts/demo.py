"""Set up a real ComfyUI, run the ad workflow in it on tiny models, and tell where the video lies.

    python3 scripts/demo.py [--comfyui DIR] [--keep] [--samples DIR] [--workflow FILE] [--train]

The weights are random: this proves the pipeline, not the picture. With --train, a LoRA is trained on one row first and
a clip is made with it and without it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
import urllib.error
import uuid
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import ROOT, Host, SetupError, existing_host, ready_host, run, say, stop_on_termination
from comfyui_setup.hostevents import Event, EventSocket
from comfyui_setup.hostlock import setting_up, using
from comfyui_setup.hostserver import Server, fetch_json, running_server
from comfyui_setup.testbase import prepare_base

TRAINING_WORKFLOW = ROOT / "workflows" / "cointeract_train_lora.json"
VIDEO_NODE = "CoInteractDecode"
# what two slow cores finish in a minute
TINY_VALUES: dict[str, dict[str, Any]] = {
    "CoInteractPersonReference": {"size": "custom", "width": 128, "height": 192},
    "CoInteractSampler": {"steps": 4},
}
HISTORY_LIMIT = 30.0  # seconds; the server writes its history just after it reports success
SHOWN_ERROR = 400  # characters; a list of allowed values can fill pages


def main(arguments: list[str]) -> int:
    """Run the demo."""
    options = _parse(arguments)
    stop_on_termination()
    try:
        page = _read_workflow(options.workflow)
        if options.samples is not None and not options.samples.is_dir():
            raise SetupError(f"{options.samples} is no folder: name one with a person, a product and a speech.")
        with setting_up():
            host = ready_host() if options.comfyui is None else existing_host(options.comfyui)
        with using(host.base):
            with setting_up():
                base = prepare_base(host, options.samples)
            _run(host, base, page, options)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(host: Host, base: Path, page: dict[str, Any], options: argparse.Namespace) -> None:
    with running_server(host, base) as server:
        if options.train:
            _train(server, page)
        else:
            _demonstrate(server, page)
        if options.keep:
            _keep(server)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo.py", description="Run a workflow in a real ComfyUI, on tiny models.")
    parser.add_argument(
        "--comfyui", type=Path, metavar="DIR", help="use this ComfyUI, with its Python or one made for it"
    )
    parser.add_argument("--keep", action="store_true", help="leave the server up until Ctrl+C")
    parser.add_argument("--samples", type=Path, metavar="DIR", help="take person, product and speech from this folder")
    parser.add_argument("--train", action="store_true", help="train a LoRA first, on one row")
    default = ROOT / "workflows" / "cointeract_ad.json"
    parser.add_argument("--workflow", type=Path, metavar="FILE", default=default, help="another workflow of the page")
    return parser.parse_args(arguments)


def _read_workflow(path: Path) -> dict[str, Any]:
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read as a workflow: {error}") from error
    if not isinstance(page, dict) or "nodes" not in page:
        raise SetupError(f"{path} is not in the page's format: save it in ComfyUI with Workflow > Save.")
    return page


def _demonstrate(server: Server, page: dict[str, Any]) -> None:
    """Queue the workflow, follow it and describe its video."""
    person, sampler = TINY_VALUES["CoInteractPersonReference"], TINY_VALUES["CoInteractSampler"]
    say(
        f"queueing the workflow with tiny files of random weights, at {person['width']}x{person['height']} and "
        f"{sampler['steps']} steps: this shows that the pipeline works, and coloured noise"
    )
    _describe(server.host, _make_video(server, page, TINY_VALUES))


def _train(server: Server, page: dict[str, Any]) -> None:
    """Train on one row, and show that its adapter changes a clip."""
    from demo_train import RUN, TINY_TRAINING, check_adapter, read_curves, training_values, what_was_learnt

    folder, adapter = server.base / "output" / "CoInteract" / "train" / RUN, f"CoInteract/{RUN}.safetensors"
    shutil.rmtree(folder, ignore_errors=True)
    steps = TINY_TRAINING["CoInteractTrainLora"]["steps"]
    say(f"queueing the training workflow with tiny files of random weights: {steps} steps on one row")
    _run_workflow(server, _read_workflow(TRAINING_WORKFLOW), training_values())
    print(f"\n{folder / 'curves.png'}\n{what_was_learnt(read_curves(folder / 'metrics.csv'))}", flush=True)
    path = server.base / "models" / "loras" / adapter
    print(f"{path}\n{check_adapter(path)}\n", flush=True)

    say("queueing one clip with the adapter, and the same clip without it")
    values = {**TINY_VALUES, "CoInteractSpeechEncoder": {"max_clips": 1}}
    videos = [
        _make_video(server, page, {**values, "CoInteractLoadModel": {"adapter": name}}) for name in (adapter, "none")
    ]
    if videos[0].read_bytes() == videos[1].read_bytes():
        raise SetupError("The trained adapter changes nothing: both clips are the same.")
    for video in videos:
        _describe(server.host, video)


def _make_video(server: Server, page: dict[str, Any], values: dict[str, dict[str, Any]]) -> Path:
    """The video of a workflow."""
    prompt, outputs = _run_workflow(server, page, values)
    videos = [node for node, part in prompt.items() if part["class_type"] == VIDEO_NODE]
    saved = [entry for node in videos for entry in outputs.get(node, {}).get("images", [])]
    if not saved:
        raise server.failure("The workflow ended without a video")
    return server.base / "output" / saved[0]["subfolder"] / saved[0]["filename"]


def _run_workflow(
    server: Server, page: dict[str, Any], values: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Queue a workflow of the page and follow it; its prompt and what its nodes put out."""
    from graphs.api_prompt import convert, with_files  # here, where an old Python has already been told apart
    from tiny.tiny_models import REAL_TO_TINY

    try:
        info = fetch_json(server.address + "/object_info")
        prompt = with_files(convert(page, info, values=values), REAL_TO_TINY)
        client = uuid.uuid4().hex
        with EventSocket(int(server.address.rpartition(":")[2]), client) as connection:
            number = _queue(server, {"prompt": prompt, "client_id": client})
            _follow(connection, number, {node: info[part["class_type"]] for node, part in prompt.items()})
        return prompt, _outputs(server, number)
    except KeyError as error:
        raise SetupError(f"The workflow has a node this ComfyUI does not know: {error}.") from error
    except (OSError, ValueError) as error:  # urllib's and the socket's errors are OSErrors
        raise server.failure(f"The ComfyUI server stopped answering ({error})") from error


def _queue(server: Server, body: dict[str, Any]) -> str:
    try:
        return fetch_json(server.address + "/prompt", body)["prompt_id"]
    except urllib.error.HTTPError as error:
        raise SetupError(refusal(json.loads(error.read()))) from error


def refusal(answer: dict[str, Any]) -> str:
    """One sentence from the server's answer to a prompt it does not take."""
    for node, found in answer.get("node_errors", {}).items():
        for error in found["errors"]:
            reason = f"{error['message']}: {error['details']}"
            return f"ComfyUI refused node {node} ({found['class_type']}): {reason[:SHOWN_ERROR]}"
    return f"ComfyUI refused the workflow: {answer['error']['message']}"


def _follow(connection: EventSocket, number: str, nodes: dict[str, dict[str, Any]]) -> None:
    """Show progress until the prompt `number` is done."""
    for event in connection.events():
        if event.data.get("prompt_id", number) != number:
            continue
        if event.type == "execution_success":
            return
        line = progress_line(event, nodes)
        if line is not None:
            say(line)


def progress_line(event: Event, nodes: dict[str, dict[str, Any]]) -> str | None:
    """The line to show for an event, if any.

    Raises:
        SetupError: the event says that a node failed or that the run was stopped.
    """
    if event.type == "execution_error":
        message = event.data["exception_message"].strip()
        raise SetupError(f"{_name(event.data['node_type'], nodes)} stopped: {message}")
    if event.type == "execution_interrupted":
        raise SetupError("The run was interrupted.")
    node = event.data.get("node")
    if event.type == "executing" and node in nodes:
        return nodes[node].get("display_name") or nodes[node]["name"]
    return f"    {event.data['text']}" if event.type == "node_text" else None


def _name(node_type: str, nodes: dict[str, dict[str, Any]]) -> str:
    named = (node.get("display_name") for node in nodes.values() if node["name"] == node_type)
    return next(named, None) or node_type


def _outputs(server: Server, number: str) -> dict[str, Any]:
    deadline = time.monotonic() + HISTORY_LIMIT
    while time.monotonic() < deadline:
        history = fetch_json(f"{server.address}/history/{number}")
        if number in history:
            return history[number]["outputs"]
        time.sleep(0.1)
    raise server.failure("The server does not list the finished run")


def _describe(host: Host, video: Path) -> None:
    if not video.is_file():
        raise SetupError(f"The server names {video} as its video, and there is no such file.")
    probe = [host.python, ROOT / "scripts" / "probe_video.py", video]
    print(f"\n{video}\n{description(json.loads(run(probe, f'{video} cannot be read as a video.')))}", flush=True)


def description(probe: dict[str, Any]) -> str:
    """Frames, frame rate, duration and sound of a probed video, in one line.

    Raises:
        SetupError: the video is not what the workflow makes: moving pictures with sound.
    """
    sound = probe["audio"]
    wrong = {"no frames": not probe["frames"], "no sound stream": not sound, "a silent sound stream": probe["silent"]}
    wrong["one and the same picture in all frames"] = probe.get("constant", False)
    found = [what for what, is_so in wrong.items() if is_so]
    if found:
        raise SetupError(f"The video has {found[0]}: a moving picture with the speech was expected.")
    picture = f"{probe['width']}x{probe['height']}, {probe['frames']} frames at {probe['fps']:g} fps"
    length = f"{probe['frames'] / probe['fps']:.2f} s"
    channels = "mono" if sound["channels"] == 1 else f"{sound['channels']} channels"
    heard = f"{sound['codec']}, {sound['rate']} Hz, {channels}, {sound['seconds']:.2f} s"
    return f"{picture}, {length}; sound: {heard}"


def _keep(server: Server) -> None:
    print(f"\nComfyUI stays up at {server.address} (Ctrl+C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while server.running():
            time.sleep(0.5)
        raise server.failure("The ComfyUI server ended")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
