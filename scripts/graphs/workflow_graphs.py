"""What the shipped workflows consist of: nodes, wires, notes and frames; `build_workflows` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

HUB = "https://huggingface.co"
FILES = {
    "base": ("wan2.2_s2v_14B_fp8_scaled.safetensors", "diffusion_models",
             f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/diffusion_models/"),
    "adapter": ("checkpoint.safetensors", "model_patches", f"{HUB}/georgexin/cointeract/resolve/main/"),
    "pose adapter": ("checkpoint_pose.safetensors", "model_patches", f"{HUB}/georgexin/cointeract/resolve/main/"),
    "text": ("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders",
             f"{HUB}/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/text_encoders/"),
    "fast": ("wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors", "loras",
             f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/loras/"),
    "vae": ("wan_2.1_vae.safetensors", "vae",
            f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/vae/"),
    "audio": ("wav2vec2_large_xlsr53_chinese_fp32.safetensors", "audio_encoders",
              f"{HUB}/jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn/resolve/main/model.safetensors"),
}  # fmt: skip
SIZES = {
    "base": "15.3 GB", "adapter": "about 2.8 GB", "pose adapter": "about 2.8 GB", "text": "6.3 GB", "fast": "1.2 GB",
    "vae": "0.24 GB", "audio": "1.3 GB",
}  # fmt: skip
AUDIO_NOTE = """
The audio encoder is called `model.safetensors` there: save it under the name above. It serves every language; the
English one of the same shape gives worse lips."""
STEPS_NOTE = """## An ad in five steps

1. Choose the model files on the left.
2. Load a picture of the **person**, one of the **product**, and the **speech**.
3. Describe the scene in **Prompts**; a line `---` starts the next clip's prompt.
4. Choose the size in **Person Reference**: start with 480x832.
5. Queue. Each clip adds 3.2 s, and the mp4 in `output/CoInteract` grows clip by clip.

For a quick look set `max_clips` to 1 in **Speech Encoder**."""


NOTE_COLOUR = ("#222", "#000")  # Vue nodes write notes in grey, which brown or blue would swallow


def file_address(key: str) -> str:
    """Where a model file is to be had."""
    name, _, url = FILES[key]
    return url if url.endswith(".safetensors") else url + name


def files_note(*keys: str) -> str:
    """A list of model files: a table's columns are too narrow for their names, and hard to read in Vue nodes."""
    lines = [f"- [{FILES[key][0]}]({file_address(key)}) in **{FILES[key][1]}**, {SIZES[key]}" for key in keys]
    return "\n".join(["## Files this needs, in models", "", *lines, AUDIO_NOTE])


@dataclass
class Node:
    """A node of the graph, with its widgets by name and its inputs as (node, output name).

    `labels` are what the page calls widgets instead of their names.
    """

    type: str
    pos: tuple[int, int]
    size: tuple[int, int]
    widgets: dict[str, Any] = field(default_factory=dict)
    wires: dict[str, tuple[str, str]] = field(default_factory=dict)
    file: str | None = None
    title: str | None = None
    colour: tuple[str, str] | None = None
    labels: dict[str, str] = field(default_factory=dict)


def _note(place: tuple[int, int], height: int, title: str, text: str) -> Node:
    return Node("MarkdownNote", place, (460, height), {"": text}, title=title, colour=NOTE_COLOUR)


def ad_nodes(pose: bool) -> dict[str, Node]:
    """The ad workflow; with `pose`, the pose-driven one."""
    adapter = "pose adapter" if pose else "adapter"
    nodes = {
        "files note": _note((0, 60), 330, "Files", files_note("base", adapter, "text", "vae", "audio")),
        "steps note": _note((0, 450), 350, "Start here", STEPS_NOTE),
        "model": Node(
            "CoInteractLoadModel", (520, 60), (400, 240),
            {"base": FILES["base"][0], "adapter": FILES[adapter][0]}, file="base",
        ),
        "clip": Node("CLIPLoader", (520, 390), (400, 110), {"clip_name": FILES["text"][0], "type": "wan"}, file="text"),
        "vae": Node("VAELoader", (520, 570), (400, 70), {"vae_name": FILES["vae"][0]}, file="vae"),
        "audio encoder": Node(
            "AudioEncoderLoader", (520, 705), (400, 70), {"audio_encoder_name": FILES["audio"][0]}, file="audio"
        ),
        "person image": Node("LoadImage", (980, 60), (300, 330), {"image": "cointeract_person.png"}, title="Person"),
        "product image": Node(
            "LoadImage", (980, 445), (300, 330), {"image": "cointeract_product.png"}, title="Product"
        ),
        "speech audio": Node("LoadAudio", (980, 830), (300, 140), {"audio": "cointeract_speech.wav"}, title="Speech"),
        "person": Node(
            "CoInteractPersonReference", (1340, 60), (320, 395), {"size": "480x832 portrait"},
            {"image": ("person image", "IMAGE"), "vae": ("vae", "VAE"),
             "transparency": ("person image", "MASK")},
        ),
        "product": Node(
            "CoInteractProductReference", (1340, 510), (320, 450), {},
            {"person": ("person", "person"), "image": ("product image", "IMAGE"), "vae": ("vae", "VAE"),
             "transparency": ("product image", "MASK")},
        ),
        "speech": Node(
            "CoInteractSpeechEncoder", (1340, 1015), (320, 410), {},
            {"audio": ("speech audio", "AUDIO"), "audio_encoder": ("audio encoder", "AUDIO_ENCODER")},
        ),
        "prompts": Node(
            "CoInteractPrompts", (520, 845), (400, 315),
            {"prompts": "A woman in a bright room looks into the camera, speaks with a friendly voice and holds the "
             "bottle next to her face.\n---\nShe lowers the bottle, turns its label to the camera and smiles."},
            {"clip": ("clip", "CLIP")},
        ),
        "sampler": Node(
            "CoInteractSampler", (1720, 60), (340, 690),
            {"seed": 42, "filename_prefix": "CoInteract/ad_pose" if pose else "CoInteract/ad"},
            {"model": ("model", "model"), "vae": ("vae", "VAE"), "person": ("person", "person"),
             "speech": ("speech", "speech"), "prompts": ("prompts", "prompts"), "product": ("product", "product")},
        ),
        "decode": Node(
            "CoInteractDecode", (1720, 840), (340, 580), {"all_frames": False}, {"clips": ("sampler", "clips")}
        ),
    }  # fmt: skip
    if pose:
        for name, down in (("person image", 60), ("product image", 405), ("speech audio", 750)):
            nodes[name].pos = (980, down)
            nodes[name].size = (300, min(nodes[name].size[1], 290))
        # narrow, for the classic canvas makes it as tall as its video
        nodes["pose video"] = Node("LoadVideo", (980, 950), (240, 470), {"file": "cointeract_pose.mp4"}, title="Pose")
        nodes["pose"] = Node(
            "CoInteractPoseEncoder", (520, 1255), (400, 170), {},
            {"person": ("person", "person"), "speech": ("speech", "speech"), "vae": ("vae", "VAE"),
             "video": ("pose video", "VIDEO")},
        )  # fmt: skip
        nodes["sampler"].wires["pose"] = ("pose", "pose")
    for name, widget in APP_FILES.items():  # app mode shows no titles of nodes, and "image" twice says nothing
        if name in nodes:
            nodes[name].labels[widget] = nodes[name].title.lower()
    return nodes


FAST_NOTE = """

## Fast

Four steps without guidance, by a step-distilled LoRA in **4 steps**: a twentieth of the passes of 40 steps with
guidance. The negative prompt has no effect.

**Untested with the real files.** The LoRA was made for Wan2.2 text-to-video, not for CoInteract, and people find that
such LoRAs slow motion down. The experts of hands and face work in two of the four steps. Compare hands, lips and
movement with `cointeract_ad` before you rely on it.

Keep `shift` at 5 and `scheduler` at published: they put the steps where the LoRA's makers put theirs."""


def fast_nodes() -> dict[str, Node]:
    """The ad workflow with a step-distilled LoRA."""
    nodes = ad_nodes(False)
    for name in ("clip", "vae", "audio encoder", "prompts"):  # make room below the model
        across, down = nodes[name].pos
        nodes[name].pos = (across, down + 150)
    nodes["fast"] = Node(
        "LoraLoaderModelOnly", (520, 390), (400, 90), {"lora_name": FILES["fast"][0], "strength_model": 1.0},
        {"model": ("model", "model")}, file="fast", title="4 steps",
    )  # fmt: skip
    sampler = nodes["sampler"]
    sampler.wires["model"] = ("fast", "MODEL")
    sampler.widgets |= {"steps": 4, "cfg": 1.0, "shift": 5.0, "filename_prefix": "CoInteract/ad_fast"}
    nodes["files note"] = _note((0, 60), 360, "Files", files_note("base", "adapter", "fast", "text", "vae", "audio"))
    nodes["steps note"] = _note((0, 480), 560, "Start here", STEPS_NOTE + FAST_NOTE)
    return nodes


TRAIN_NOTE = """## Train a LoRA in four steps

1. Put your table and its videos into `input/cointeract_train` (one row is there as an example) and choose it in
   **Training Data**. Run that node alone first: it checks every row and shows what the model will see.
2. Look at **Training Settings**; what it starts with are the published values.
3. Choose the model files in **CoInteract Train LoRA**, a name for the run, and your card under `memory`.
4. Queue. Curves grow in the node; Interrupt saves, and queueing again goes on from there.

The adapter is then in `models/loras/CoInteract`: choose it in **Load CoInteract Model** of the ad workflow.

From raw footage to a trained adapter: `docs/training.md` of this pack."""


def train_nodes() -> dict[str, Node]:
    """The training workflow."""
    files = {
        "base": FILES["base"][0], "vae": FILES["vae"][0], "text_encoder": FILES["text"][0],
        "audio_encoder": FILES["audio"][0],
    }  # fmt: skip
    return {
        "files note": _note((0, 60), 330, "Files", files_note("base", "adapter", "text", "vae", "audio")),
        "steps note": _note((0, 450), 420, "Start here", TRAIN_NOTE),
        "data": Node("CoInteractTrainingData", (520, 60), (520, 860), {"table": "cointeract_train/data.csv"}),
        "settings": Node("CoInteractTrainingSettings", (1100, 60), (340, 860), {"save_every": 100}),
        "train": Node(
            "CoInteractTrainLora", (1500, 60), (560, 1100),
            {**files, "adapter": FILES["adapter"][0], "name": "my_product", "steps": 1000, "learning_rate": "1e-4"},
            {"data": ("data", "data"), "settings": ("settings", "settings")}, file="base",
        ),
    }  # fmt: skip


def train_groups() -> list[dict[str, Any]]:
    """Coloured frames around the steps of training."""
    boxes = (
        ("1  Your data", (500, 0, 560, 1180), "#8A8"),
        ("2  Settings", (1080, 0, 380, 1180), "#a1309b"),
        ("3  Train", (1480, 0, 600, 1180), "#b58b2a"),
    )
    return _groups(boxes)


def groups(pose: bool) -> list[dict[str, Any]]:
    """Coloured frames around the steps."""
    models = 1180 if pose else 1450
    boxes = [
        ("1  Models and prompts", (500, 0, 440, models), "#3f789e"),
        ("2  Your inputs", (960, 0, 340, 1450), "#8A8"),
        ("3  Prepare", (1320, 0, 360, 1450), "#a1309b"),
        ("4  Make the video", (1700, 0, 380, 1450), "#b58b2a"),
    ]
    if pose:
        boxes.append(("3  Prepare the pose", (500, 1195, 440, 255), "#a1309b"))
    return _groups(boxes)


def _groups(boxes: Iterable[tuple[str, tuple[int, ...], str]]) -> list[dict[str, Any]]:
    return [
        {"id": number, "title": title, "bounding": list(box), "color": colour, "font_size": 24, "flags": {}}
        for number, (title, box, colour) in enumerate(boxes, 1)
    ]


# what a maker of ads sets in ComfyUI's app mode, as (node, widget)
APP_FILES = {"person image": "image", "product image": "image", "speech audio": "audio", "pose video": "file"}
APP_INPUTS = (*APP_FILES.items(), ("prompts", "prompts"), ("person", "size"))
APP_OUTPUT = "decode"


def app_mode(nodes: dict[str, Node]) -> dict[str, Any]:
    """What app mode shows of an ad workflow; pages without app mode keep it unread.

    The form is that of ComfyUI's own templates: ids are text, and `linearMode` says whether the workflow opens so.
    """
    ids = {name: str(number) for number, name in enumerate(nodes, 1)}
    inputs = [[ids[node], widget] for node, widget in APP_INPUTS if node in ids]
    return {"linearMode": False, "linearData": {"inputs": inputs, "outputs": [ids[APP_OUTPUT]]}}
