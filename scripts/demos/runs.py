"""A workflow of the page, queued on a running server and followed, and the video it makes."""

from __future__ import annotations

import json
import time
import urllib.error
import uuid
from pathlib import Path
from typing import Any

from comfyui_setup.hostenv import ROOT, Host, SetupError, run, say
from comfyui_setup.hostevents import Event, EventSocket
from comfyui_setup.hostserver import Server, fetch_json

Page = dict[str, Any]  # a workflow as the page saves it
Values = dict[str, dict[str, Any]]
VIDEO_NODE = "CoInteractDecode"
MODEL_NODE, LORA_NODE = "CoInteractLoadModel", "CoInteractLoadLora"
HISTORY_LIMIT = 30.0  # seconds; the server writes its history just after it reports success
SHOWN_ERROR = 400  # characters; a list of allowed values can fill pages


def read_workflow(path: Path) -> Page:
    """A workflow as the page saves it.

    Raises:
        SetupError: it is none.
    """
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read as a workflow: {error}") from error
    if not isinstance(page, dict) or "nodes" not in page:
        raise SetupError(f"{path} is not in the page's format: save it in ComfyUI with Workflow > Save.")
    return page


def make_video(server: Server, page: Page, values: Values, files: dict[str, str], lora: str | None = None) -> Path:
    """The video of a workflow; see `run_workflow`."""
    prompt, outputs = run_workflow(server, page, values, files, lora)
    videos = [node for node, part in prompt.items() if part["class_type"] == VIDEO_NODE]
    saved = [entry for node in videos for entry in outputs.get(node, {}).get("images", [])]
    if not saved:
        raise server.failure("The workflow ended without a video")
    return server.base / "output" / saved[0]["subfolder"] / saved[0]["filename"]


def run_workflow(
    server: Server, page: Page, values: Values, files: dict[str, str], lora: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Queue a workflow of the page and follow it; its prompt and what its nodes put out.

    Args:
        values: widget values to set, by node type and input.
        files: names of files to be taken instead of those the workflow names.
        lora: a file to be laid over the model, as Load CoInteract LoRA lists it.

    Raises:
        SetupError: the server does not take it, a node fails, or the server ends.
    """
    from graphs.api_prompt import convert, with_files  # here, where an old Python has already been told apart

    try:
        info = fetch_json(server.address + "/object_info")
        prompt = with_files(convert(page, info, values=values), files)
        if lora is not None:
            prompt = with_lora(prompt, lora)
        client = uuid.uuid4().hex
        with EventSocket(int(server.address.rpartition(":")[2]), client) as connection:
            number = queue(server, {"prompt": prompt, "client_id": client})
            _follow(connection, number, {node: info[part["class_type"]] for node, part in prompt.items()})
        return prompt, _outputs(server, number)
    except KeyError as error:
        raise SetupError(f"The workflow has a node this ComfyUI does not know: {error}.") from error
    except (OSError, ValueError) as error:  # urllib's and the socket's errors are OSErrors
        raise server.failure(f"The ComfyUI server stopped answering ({error})") from error


def with_lora(prompt: dict[str, Any], lora: str) -> dict[str, Any]:
    """An API prompt with a Load CoInteract LoRA between its model and everything that takes the model."""
    (loader,) = (number for number, node in prompt.items() if node["class_type"] == MODEL_NODE)
    new = str(1 + max(map(int, prompt)))
    made = {}
    for number, node in prompt.items():
        inputs = {name: [new, 0] if value == [loader, 0] else value for name, value in node["inputs"].items()}
        made[number] = {**node, "inputs": inputs}
    made[new] = {"class_type": LORA_NODE, "inputs": {"model": [loader, 0], "lora": lora, "strength": 1.0}}
    return made


def queue(server: Server, body: dict[str, Any]) -> str:
    """Queue an API prompt; the number it gets.

    Raises:
        SetupError: the server does not take it.
    """
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


def describe(host: Host, video: Path) -> None:
    """Print where a video lies and what is in it.

    Raises:
        SetupError: it is not there, or is not what the workflow makes.
    """
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
