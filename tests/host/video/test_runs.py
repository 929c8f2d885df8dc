"""Runs through a real server over HTTP: progress, interruption, errors, and the host's own sampler nodes."""

from __future__ import annotations

import json
import struct
import time
import urllib.error
import urllib.request
import uuid
import wave
from pathlib import Path
from typing import Any

import pytest

LIMIT = 240  # seconds


class Client:
    """A user of the server: queues prompts and waits for them."""

    def __init__(self, server: Any) -> None:
        self.address, self.base = server.address, Path(server.base)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def queue(self, prompt: dict[str, Any], client: str = "test") -> str:
        return self.post("/prompt", {"prompt": prompt, "client_id": client})["prompt_id"]

    def wait(self, number: str) -> dict[str, Any]:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            history = self.get(f"/history/{number}")
            if number in history:
                return history[number]
            time.sleep(0.1)
        raise TimeoutError(f"The run did not end within {LIMIT} seconds.")

    def error(self, entry: dict[str, Any]) -> dict[str, Any]:
        return next(data for kind, data in entry["status"]["messages"] if kind.startswith("execution_error"))


@pytest.fixture(scope="module")
def client(server):
    return Client(server)


@pytest.fixture
def shipped(repo, client):
    """A shipped workflow as an API prompt with tiny files and a small video, and the ids of its nodes by type."""
    from graphs import api_prompt
    from tiny import tiny_models

    small = {"CoInteractPersonReference": {"size": "custom", "width": 96, "height": 128}}

    def read(name, **values):
        page = json.loads((repo / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        prompt = api_prompt.convert(page, client.get("/object_info"), values={**small, **values})
        prompt = api_prompt.with_files(prompt, tiny_models.REAL_TO_TINY)
        return prompt, {node["class_type"]: number for number, node in prompt.items()}

    return read


@pytest.fixture
def ad(shipped):
    """The ad workflow with two steps."""
    return shipped("cointeract_ad", CoInteractSampler={"steps": 2})


@pytest.fixture
def follow(client):
    """Queue a prompt; the texts and the bar of a node while it runs, and the entry of the history."""
    from comfyui_setup.hostevents import EventSocket

    def run(prompt, node):
        name = uuid.uuid4().hex
        texts, bars = [], []
        with EventSocket(int(client.address.rpartition(":")[2]), name) as connection:
            number = client.queue(prompt, name)
            for event in connection.events():
                if event.type == "node_text" and event.data["node"] == node:
                    texts.append(event.data["text"])
                if event.type == "progress" and event.data["node"] == node:
                    bars.append((event.data["value"], event.data["max"]))
                if event.type in ("execution_success", "execution_error"):
                    break
        return texts, bars, client.wait(number)

    return run


def test_progress_runs_over_all_clips_and_steps(ad, follow):
    prompt, ids = ad
    prompt[ids["CoInteractSampler"]]["inputs"]["seed"] = 7
    texts, bars, entry = follow(prompt, ids["CoInteractSampler"])
    assert entry["status"]["status_str"] == "success"
    assert bars == [(1, 4), (2, 4), (3, 4), (4, 4)]
    steps = [text.rpartition(", about")[0] for text in texts if text.startswith("clip")]
    assert steps == ["clip 1/2, step 1/2", "clip 1/2, step 2/2", "clip 2/2, step 1/2", "clip 2/2, step 2/2"]


def test_the_fast_workflow_takes_the_four_steps_it_is_shipped_with(shipped, follow):
    prompt, ids = shipped("cointeract_ad_fast", CoInteractSpeechEncoder={"max_clips": 1})
    sampler = prompt[ids["CoInteractSampler"]]["inputs"]
    assert {name: sampler[name] for name in ("steps", "cfg", "shift")} == {"steps": 4, "cfg": 1.0, "shift": 5.0}
    assert sampler["model"] == [ids["LoraLoaderModelOnly"], 0]
    assert prompt[ids["LoraLoaderModelOnly"]]["inputs"]["model"] == [ids["CoInteractLoadModel"], 0]
    _, bars, entry = follow(prompt, ids["CoInteractSampler"])
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    assert bars == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("part", "complaint"), [(-0.05, "smaller than min of 0.0"), (1.05, "bigger than max of 1.0")])
def test_parts_of_the_steps_outside_0_to_1_are_refused(part, complaint, ad, client):
    prompt, ids = ad
    prompt[ids["CoInteractSampler"]]["inputs"]["negative_until"] = part
    with pytest.raises(urllib.error.HTTPError) as caught:
        client.queue(prompt)
    errors = json.load(caught.value)["node_errors"][ids["CoInteractSampler"]]["errors"]
    assert [(error["message"], error["extra_info"]["input_name"]) for error in errors] == [
        (f"Value {part} {complaint}", "negative_until")
    ]


def test_interrupt_keeps_the_finished_clip(ad, client):
    import probe_video

    prompt, ids = ad
    prompt[ids["CoInteractSampler"]]["inputs"] |= {"steps": 25, "filename_prefix": "CoInteract/stopped"}
    number = client.queue(prompt)
    video = client.base / "output" / "CoInteract" / "stopped_00001_.mp4"
    deadline = time.monotonic() + LIMIT
    while not video.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    asked = time.monotonic()
    client.post("/interrupt", {})
    entry = client.wait(number)
    assert time.monotonic() - asked < 10
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    seen = probe_video.probe(video)
    assert seen["frames"] == 80
    assert abs(seen["audio"]["seconds"] - 3.2) < 0.05
    assert sorted(path.name for path in video.parent.glob("*stopped*")) == ["stopped_00001_.mp4"]


def test_error_box_holds_the_sentence(ad, client):
    silent = client.base / "input" / "silent.wav"
    with wave.open(str(silent), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(struct.pack("<16000h", *[0] * 16000))
    prompt, ids = ad
    prompt[ids["LoadAudio"]]["inputs"]["audio"] = "silent.wav"
    entry = client.wait(client.queue(prompt))
    failure = client.error(entry)
    assert failure["node_type"] == "CoInteractSpeechEncoder"
    assert failure["exception_message"].strip() == (
        "audio is silent (its loudest sample is 0.000000 of 1), but speech is expected; check the recording or the "
        "channel."
    )


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def test_the_hosts_samplers_make_clips(ad, client):
    """KSampler for the first clip, SamplerCustomAdvanced for the one that follows from its frames."""
    prompt, ids = ad
    sampler = prompt.pop(ids["CoInteractSampler"])["inputs"]
    prompt.pop(ids["CoInteractDecode"])
    scene = {name: sampler[name] for name in ("person", "speech", "prompts", "product")} | {"speech_to_face": False}
    model, vae = sampler["model"], sampler["vae"]
    settings = {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    prompt |= {
        "first": node("CoInteractClipConditioning", clip=0, **scene),
        "sampled": node(
            "KSampler",
            model=model,
            positive=["first", 0],
            negative=["first", 1],
            latent_image=["first", 2],
            **settings,
        ),
        "frames": node("CoInteractDecodeClip", latent=["sampled", 0], clip=["first", 3], vae=vae),
        "second": node("CoInteractClipConditioning", clip=1, vae=vae, previous_frames=["frames", 0], **scene),
        "noise": node("RandomNoise", noise_seed=3),
        "guider": node("CFGGuider", model=model, positive=["second", 0], negative=["second", 1], cfg=1.0),
        "method": node("KSamplerSelect", sampler_name="dpmpp_2m"),
        "sigmas": node("BasicScheduler", model=model, scheduler="beta", steps=2, denoise=1.0),
        "sampled2": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["method", 0],
            sigmas=["sigmas", 0],
            latent_image=["second", 2],
        ),
        "frames2": node("CoInteractDecodeClip", latent=["sampled2", 0], clip=["second", 3], vae=vae),
        "show": node("PreviewImage", images=["frames", 0]),
        "show2": node("PreviewImage", images=["frames2", 0]),
    }
    entry = client.wait(client.queue(prompt))
    assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
    assert len(entry["outputs"]["show"]["images"]) == 80
    assert 1 <= len(entry["outputs"]["show2"]["images"]) < 80
