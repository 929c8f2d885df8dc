"""A GGUF base through the real ComfyUI-GGUF pack, where it is installed in the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import comfy.model_management
import pytest
import torch

from cointeract_pack.cointeract_core.errors import ModelFileError
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.model.base_model import CoInteractModel
from cointeract_pack.cointeract_core.host.model.parking import is_parked
from cointeract_pack.cointeract_core.host.model.prepare import prepared
from cointeract_pack.tests.host.clip_runs import elsewhere

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture(scope="module")
def gguf(host: Path):
    """The library the pack reads files with, after the host has loaded the pack."""
    library = pytest.importorskip("gguf", reason="The library gguf, which ComfyUI-GGUF needs, is not installed.")
    folder = host / "custom_nodes" / "ComfyUI-GGUF"
    if not folder.is_dir():
        pytest.skip("ComfyUI-GGUF is not installed in this ComfyUI.")
    import nodes

    assert asyncio.run(nodes.load_custom_node(str(folder)))
    return library


@pytest.fixture
def put_gguf(gguf, model_folder: Callable[[str], Path]) -> Callable[[str, dict[str, torch.Tensor]], str]:
    """Write a state dict as a GGUF with eight-bit linear layers."""

    def write(name: str, state: dict[str, torch.Tensor]) -> str:
        writer = gguf.GGUFWriter(str(model_folder("diffusion_models") / name), "wan")
        for key, tensor in state.items():
            value = tensor.float().numpy()
            quantise = key.startswith(("blocks", "audio_injector", "cointeract.experts")) and value.ndim == 2
            if quantise and value.shape[1] % 32 == 0:
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(key, gguf.quants.quantize(value, kind), raw_dtype=kind)
            else:
                writer.add_tensor(key, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return name

    return write


def forward(patcher):
    """One prediction with the model on the CPU, LoRA patches applied."""
    patcher.patch_model(device_to=torch.device("cpu"))
    out = predict(patcher)
    patcher.unpatch_model()
    return out


def predict(patcher):
    """One prediction with the model as it is loaded."""
    generator = torch.Generator().manual_seed(3)
    latents, person, context, audio = (
        torch.randn(shape, generator=generator)
        for shape in ((1, 16, 2, 8, 8), (1, 16, 1, 8, 8), (1, 5, 4096), (1, 25, 1024, 8))
    )
    with torch.inference_mode():
        return patcher.model.diffusion_model(
            latents, torch.tensor([500.0]), context, audio_embed=audio, reference_latent=person, transformer_options={}
        )


def test_experts_and_lora_over_a_gguf_base(tiny, put, put_gguf):
    state, adapter = tiny.base(torch.float32), tiny.adapter()
    patches = put("model_patches", "checkpoint.safetensors", adapter)
    strong = 20.0  # makes the LoRA part as large as the tiny base
    loaded = load_cointeract(put_gguf("s2v.gguf", state), patches, strength=strong)
    assert isinstance(loaded.patcher.model, CoInteractModel)
    assert loaded.report == "136 LoRA tensors, 28 expert tensors, 0 unknown"
    parameters = dict(loaded.patcher.model.diffusion_model.named_parameters())
    for name, tensor in tiny.experts(adapter).items():
        assert parameters[name].dtype == tensor.dtype
        assert torch.equal(parameters[name], tensor), name
    base = put("diffusion_models", "s2v.safetensors", state)
    theirs = forward(load_cointeract(base, patches, strength=strong).patcher)
    without = forward(load_cointeract(base, patches, strength=0.0).patcher)
    rounding = (forward(loaded.patcher) - theirs).abs().max()  # of eight bits a weight
    assert rounding < 0.1 * (without - theirs).abs().max()


def test_parking_over_a_gguf_base(tiny, put, put_gguf):
    """What makes constants is quantised too, and stays where it rests; LoRAs and all, no bit changes."""
    patches = put("model_patches", "checkpoint.safetensors", tiny.adapter())
    here = load_cointeract(put_gguf("s2v.gguf", tiny.base(torch.float32)), patches, strength=20.0).patcher
    plain = forward(here)
    parked = prepared(elsewhere(here))
    assert isinstance(parked, type(here))
    assert parked.clone().model_size() == parked.model_size() < here.model_size()
    for _ in range(2):  # loaded again over what the first run left
        comfy.model_management.load_models_gpu([parked])
        marked = {
            name: hasattr(module, "prev_comfy_cast_weights")
            for name, module in parked.model.named_modules()
            if hasattr(module, "comfy_cast_weights") and list(module.parameters(recurse=False))
        }
        assert any(marked.values())
        assert marked == {name: is_parked(name) for name in marked}
        assert torch.equal(predict(parked), plain)
        comfy.model_management.unload_all_models()
    assert torch.equal(forward(here), plain)


def test_merged_gguf_through_the_packs_own_loader(tiny, put_gguf):
    import nodes

    name = put_gguf("merged.gguf", tiny.merged(torch.float32))
    patcher = nodes.NODE_CLASS_MAPPINGS["UnetLoaderGGUF"]().load_unet(name)[0]
    assert isinstance(patcher.model, CoInteractModel)
    assert torch.isfinite(forward(patcher)).all()


def test_damaged_gguf(tiny, put_gguf, model_folder):
    name = put_gguf("s2v.gguf", tiny.base(torch.float32))
    path = model_folder("diffusion_models") / name
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelFileError, match=r"base s2v\.gguf cannot be read as a GGUF model"):
        load_cointeract(name, "none")
