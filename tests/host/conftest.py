"""Tiny model files in the forms users own, in the host's own folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.clips.parts import ClipScene, PersonReference, ProductReference, Prompts, Speech
from cointeract_pack.cointeract_core.clips.plan import plan_video
from cointeract_pack.cointeract_core.shapes import VideoSize

DIM, FFN, LAYERS, HIDDEN, RANK = 128, 192, 2, 16, 4
LORA_MODULES = [
    f"blocks.{n}.{kind}_attn.{part}" for n in range(LAYERS) for kind in ("self", "cross") for part in "qkvo"
]
LORA_MODULES += [f"blocks.{n}.ffn.ffn_base.{layer}" for n in range(LAYERS) for layer in (0, 2)]
LORA_MODULES += [f"audio_injector.injector.{n}.{part}" for n in range(12) for part in "qkvo"]


def filled(shapes: dict[str, tuple[int, ...]], dtype: torch.dtype, seed: int) -> dict[str, torch.Tensor]:
    """Small random values of the given shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {name: (torch.randn(shape, generator=generator) * 0.02).to(dtype) for name, shape in shapes.items()}


def base_state(dtype: torch.dtype = torch.bfloat16, dim: int = DIM) -> dict[str, torch.Tensor]:
    """A tiny Wan2.2-S2V state dict, its names and shapes from the host's own class."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel_S2V

    model = WanModel_S2V(
        dim=dim,
        ffn_dim=FFN,
        num_heads=dim // 128,
        num_layers=LAYERS,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )
    return filled({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, dtype, 1)


def adapter_state(
    rank: int = RANK, dim: int = DIM, dtype: torch.dtype = torch.bfloat16, hoi: bool = False
) -> dict[str, torch.Tensor]:
    """A tiny adapter under the authors' names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for module in LORA_MODULES:
        out = FFN if module.endswith("ffn_base.0") else dim
        into = FFN if module.endswith("ffn_base.2") else dim
        shapes[f"{module}.lora_A.default.weight"] = (rank, into)
        shapes[f"{module}.lora_B.default.weight"] = (out, rank)
    for n in range(LAYERS):
        ffn = f"blocks.{n}.ffn"
        router = {"0.weight": (dim // 2, dim), "0.bias": (dim // 2,), "2.weight": (dim // 2,), "2.bias": (dim // 2,)}
        router |= {"3.weight": (3, dim // 2), "3.bias": (3,)}
        shapes |= {f"{ffn}.router.{name}": shape for name, shape in router.items()}
        for expert in ("hand_expert", "face_expert"):
            shapes |= {f"{ffn}.{expert}.fc1.weight": (HIDDEN, dim), f"{ffn}.{expert}.fc1.bias": (HIDDEN,)}
            shapes |= {f"{ffn}.{expert}.fc2.weight": (dim, HIDDEN), f"{ffn}.{expert}.fc2.bias": (dim,)}
        if hoi:
            shapes[f"blocks.{n}.depth_modulation"] = (1, 6, dim)
    if hoi:
        shapes |= {"depth_patch_embedding.weight": (dim, 16, 1, 2, 2), "depth_patch_embedding.bias": (dim,)}
        shapes |= {"depth_head.head.weight": (64, dim), "depth_head.head.bias": (64,)}
        shapes |= {"depth_head.modulation": (1, 2, dim), "depth_cond_mask.weight": (1, dim)}
    return filled(shapes, dtype, 2)


def expert_tensors(adapter: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Router and experts of an adapter under the names the model has."""
    words = {"router": "router", "hand_expert": "hand", "face_expert": "face"}
    found = {}
    for name, tensor in adapter.items():
        parts = name.split(".")
        if parts[0] == "blocks" and parts[2] == "ffn" and parts[3] in words:
            found[".".join(["cointeract.experts", parts[1], words[parts[3]], *parts[4:]])] = tensor
    return found


def merged_state(dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """A base with experts in one state dict, under our names."""
    return base_state(dtype) | expert_tensors(adapter_state())


def scaled_fp8(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The repackaged form: linear weights in fp8 with a scale beside each, and the host's mark."""
    out = dict(state)
    for name, tensor in state.items():
        if name.endswith(".weight") and tensor.ndim == 2 and not name.startswith(("trainable", "cointeract")):
            scale = tensor.float().abs().max() / 448.0
            out[name] = (tensor.float() / scale).to(torch.float8_e4m3fn)
            out[name.removesuffix("weight") + "scale_weight"] = scale.reshape(())
    out["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    return out


@pytest.fixture(scope="session")
def run_benchmark(host: Path, repo: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a program of `benchmarks/` in a process of its own: the host chooses its attention when it is imported."""

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(repo / "benchmarks" / program), *arguments]
        environment = {**os.environ, "COINTERACT_COMFYUI": str(host)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def small_scene() -> ClipScene:
    """A person, a product and two clips of speech for the model of the golden file `dit_moe`."""

    def random(*shape: int, seed: int) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    speech = Speech(random(25, 16, 160, seed=0), torch.zeros(1, 1, 1), 16000, plan_video(160, 1), False)
    prompts = Prompts(([[random(1, 6, 32, seed=1), {}]],), [[random(1, 6, 32, seed=2), {}]])
    person = PersonReference(random(1, 16, 1, 8, 8, seed=3), VideoSize(64, 64))
    return ClipScene(person, speech, prompts, ProductReference(random(1, 16, 1, 8, 8, seed=4), 1.0))


@pytest.fixture(params=["one batch", "two batches"])
def passes(request: pytest.FixtureRequest, patcher: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the host runs the two passes of guidance.

    The module's own fixture `patcher` is the model.
    """
    if request.param == "two batches":
        from cointeract_pack.tests.host.clip_runs import apart

        apart(patcher, monkeypatch)
    return request.param


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """Builders of tiny state dicts."""
    return SimpleNamespace(
        DIM=DIM,
        FFN=FFN,
        LAYERS=LAYERS,
        RANK=RANK,
        LORA_MODULES=LORA_MODULES,
        base=base_state,
        adapter=adapter_state,
        merged=merged_state,
        scaled_fp8=scaled_fp8,
        experts=expert_tensors,
    )


@pytest.fixture
def model_folder(host: Path) -> Iterator[Callable[[str], Path]]:
    """Folders of the host's model files; what a test puts there is removed after it."""
    import folder_paths

    made: list[Path] = []

    def folder(kind: str) -> Path:
        path = Path(folder_paths.get_folder_paths(kind)[-1])
        path.mkdir(parents=True, exist_ok=True)
        made.append(path)
        return path

    yield folder
    for path in made:
        for file in path.iterdir():
            file.unlink()


@pytest.fixture
def put(model_folder: Callable[[str], Path]) -> Callable[..., str]:
    """Write a state dict into a folder of the host and give its name there."""

    def write(kind: str, name: str, state: dict[str, torch.Tensor]) -> str:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, model_folder(kind) / name)
        return name

    return write


@pytest.fixture(scope="session")
def registered(host: Path) -> None:
    """Our entry in the host's list of models."""
    from cointeract_pack.cointeract_core.host.model.registration import register

    register()


@pytest.fixture(scope="session")
def training_case(golden_dir: Path) -> SimpleNamespace:
    """A tiny model with experts, HOI stream and LoRA, rows for it, and settings: everything a training step needs."""
    from cointeract_pack.cointeract_core.training.settings.toml import settings_from
    from cointeract_pack.cointeract_core.training.step.lora import LoraSet, choose_layers
    from cointeract_pack.cointeract_core.training.step.sample import PromptContexts, TrainingSample
    from cointeract_pack.cointeract_core.training.step.trainable import TrainableModel
    from cointeract_pack.cointeract_core.training.table.token_masks import TokenMasks
    from cointeract_pack.cointeract_core.verify.recordings.golden import read_golden
    from cointeract_pack.cointeract_core.verify.recordings.tiny import build_dit

    golden = read_golden(golden_dir / "training_step.safetensors")

    def settings(**sections):
        files = dict.fromkeys(("base", "vae", "text_encoder", "audio_encoder"), "tiny.safetensors")
        needed = {"model": files, "data": {"table": "rows.csv"}, "run": {"name": "tiny", "steps": 4}}
        needed |= {"lora": {"rank": 4, "alpha": 4.0}, "optimizer": {"learning_rate": 1e-3}, "memory": {"mode": "none"}}
        return settings_from(
            {name: {**needed.get(name, {}), **sections.get(name, {})} for name in {**needed, **sections}}
        )

    def model(chosen=None, hoi=True):
        chosen = chosen or settings()
        dit = build_dit(golden)
        layers = {} if chosen.model.whole else choose_layers(dit, chosen.lora.targets)
        lora = LoraSet(layers, chosen.lora.rank, chosen.lora.alpha, torch.Generator().manual_seed(1))
        for number, (_, layer) in enumerate(lora.named_layers()):
            # as in the middle of a run: at its start `up` is zero and `down` has no gradient
            torch.nn.init.normal_(layer.up, std=0.05, generator=torch.Generator().manual_seed(number))
        parts = {"experts": chosen.lora.experts, "hoi": hoi, "whole": chosen.model.whole}
        return TrainableModel(dit, lora, targets=chosen.lora.targets, **parts), lora

    def sample(seed=0, **changes):
        generator = torch.Generator().manual_seed(seed)
        clean = golden["in.input_latents"] + 0.1 * seed
        context, hoi_context = golden["in.context"], golden["in.depth_context"]
        values = {
            "joint": torch.cat([golden["in.motion_latents"], clean[:, :, 1:]], dim=2),
            "alone": clean[:, :, 1:],
            "person": clean[:, :, :1],
            "product": golden["in.product_image_latents"],
            "hoi": golden["in.depth_latents"][:, :, 1:],
            "pose": torch.randn(clean[:, :, 1:].shape, generator=generator),
            "audio": golden["in.audio_embeds"][..., :16],
            "prompts": PromptContexts(context, context * 0.5, hoi_context, hoi_context * 0.5),
            "token_masks": TokenMasks(face=golden["in.face_mask"], hand=golden["in.hand_mask"]),
        }
        return TrainingSample(**{**values, **changes})

    return SimpleNamespace(golden=golden, settings=settings, model=model, sample=sample)
