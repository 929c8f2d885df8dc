"""What a run leaves can be read by the pack's loader, by the host's own LoRA loader and under the authors' names."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cointeract_pack.cointeract_core.checkpoint.keys import HOI
from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract, plan_load
from cointeract_pack.cointeract_core.host.train.model import load_training_model, model_stamp
from cointeract_pack.cointeract_core.training.run.adapter import save_trained
from cointeract_pack.cointeract_core.training.run.fingerprint import fingerprint
from cointeract_pack.cointeract_core.training.settings.targets import TARGETS
from cointeract_pack.cointeract_core.training.settings.toml import load_settings, settings_from
from cointeract_pack.cointeract_core.training.step.lora import LoraSet, choose_layers
from cointeract_pack.cointeract_core.training.step.trainable import TrainableModel

RANK, ALPHA = 4, 8.0


@pytest.fixture
def base(put, tiny, registered):
    """A tiny base in the host's folder."""
    return put("diffusion_models", "base.safetensors", tiny.base())


def trained(base, adapter="none", hoi=True, **run):
    """A model to train from whose parts have been moved, and its settings."""
    files = {"base": base, "adapter": adapter, "vae": "v", "text_encoder": "t", "audio_encoder": "a"}
    settings = settings_from(
        {
            "model": files,
            "data": {"table": "rows.csv"},
            "run": {"name": "tiny", "steps": 10, **run},
            "lora": {"rank": RANK, "alpha": ALPHA},
        }
    )
    plan = plan_load(base, adapter)
    model = load_training_model(plan, "default", hoi=hoi, experts=True, seed=0)
    lora = LoraSet(choose_layers(model.dit, tuple(TARGETS)), RANK, ALPHA, torch.Generator().manual_seed(0))
    lora.load(model.lora, "adapter")
    module = TrainableModel(model.dit, lora, targets=tuple(TARGETS), experts=True, hoi=hoi)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(5)
        for parameter in module.trainable().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return settings, plan, module


def saved(base, folder, **more):
    settings, plan, module = trained(base, **more)
    identity = fingerprint(settings, data_stamp="rows", model_stamp=model_stamp(plan))
    files = save_trained(module.adapter(), folder / "mine.safetensors", settings, step=10, rows=2, identity=identity)
    return files, module


def delta(module, layer):
    """What LoRA adds to a layer's weight."""
    lora = dict(module.lora.named_layers())[layer]
    return (lora.up @ lora.down * lora.scale).detach()


@pytest.mark.parametrize("keep_hoi", [False, True])
def test_the_pack_loads_it(keep_hoi, base, model_folder, tmp_path):
    (path,), module = saved(base, tmp_path, keep_hoi=keep_hoi)
    names = load_file(path).keys()
    assert any(name.startswith(HOI) for name in names) == keep_hoi
    target = model_folder("loras") / "mine.safetensors"
    target.write_bytes(path.read_bytes())
    loaded = load_cointeract(base, "mine.safetensors")
    assert "0 unknown" in loaded.report
    assert loaded.patcher.model.diffusion_model.hoi is None
    key = "cointeract.experts.0.hand.fc1.weight"
    ours = dict(module.dit.named_parameters())[key].to(torch.bfloat16)
    assert torch.equal(loaded.patcher.model.diffusion_model.state_dict()[key].to(torch.bfloat16), ours)


@pytest.mark.parametrize("layer", ["blocks.1.ffn.0", "audio_injector.injector.3.q"])
def test_the_host_applies_its_lora_at_alpha_over_rank(layer, base, tmp_path):
    """The host's own loader, as its Load LoRA node calls it."""
    import comfy.lora
    import comfy.utils

    (path,), module = saved(base, tmp_path)
    patcher = load_cointeract(base, "none").patcher
    targets = comfy.lora.model_lora_keys_unet(patcher.model, {})
    patches = comfy.lora.load_lora(comfy.utils.load_torch_file(str(path), safe_load=True), targets, log_missing=False)
    key = f"diffusion_model.{layer}.weight"
    assert len(patches) == sum(1 for _ in module.lora.named_layers())
    weight = patcher.model.state_dict()[key].float()
    moved = comfy.lora.calculate_weight([(1.0, patches[key], 1.0, None, None)], weight.clone(), key)
    expected = delta(module, layer)
    assert (moved - weight - expected).abs().max() <= 0.02 * expected.abs().max()  # saved in bfloat16


def test_the_authors_names_carry_the_same_change_without_an_alpha(base, tmp_path):
    (_, official), module = saved(base, tmp_path, official_names=True)
    assert official.name == "mine_official.safetensors"
    tensors = load_file(official)
    assert not any(name.endswith(".alpha") or name.startswith("cointeract.") for name in tensors)
    down = tensors["blocks.1.ffn.ffn_base.0.lora_A.default.weight"].float()
    up = tensors["blocks.1.ffn.ffn_base.0.lora_B.default.weight"].float()
    expected = delta(module, "blocks.1.ffn.0")
    assert (up @ down - expected).abs().max() <= 0.02 * expected.abs().max()
    router = dict(module.dit.named_parameters())["cointeract.experts.1.router.0.weight"]
    assert torch.equal(tensors["blocks.1.ffn.router.0.weight"], router.to(torch.bfloat16))


@pytest.mark.parametrize("official", [False, True])
def test_training_goes_on_from_it(official, base, model_folder, tmp_path):
    """Both files start a new run where the last one ended."""
    files, module = saved(base, tmp_path, official_names=True, keep_hoi=True)
    target = model_folder("loras") / "again.safetensors"
    target.write_bytes(files[official].read_bytes())
    plan = plan_load(base, "again.safetensors")
    model = load_training_model(plan, "default", hoi=True, experts=True, seed=1)
    lora = LoraSet(choose_layers(model.dit, tuple(TARGETS)), RANK, ALPHA, torch.Generator().manual_seed(7))
    lora.load(model.lora, "adapter")
    again = TrainableModel(model.dit, lora, targets=tuple(TARGETS), experts=True, hoi=True)
    before, after = module.adapter(), again.adapter()
    assert before.keys() == after.keys()
    for name in before:
        assert (before[name] - after[name]).abs().max() <= 0.01 * before[name].abs().max(), name


def test_metadata_says_what_it_is(base, tmp_path):
    (path,), _ = saved(base, tmp_path)
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    assert facts["cointeract.rank"] == facts["ss_network_dim"] == str(RANK)
    assert facts["cointeract.alpha"] == str(ALPHA)
    assert facts["cointeract.targets"] == "self_attention,cross_attention,ffn,audio"
    assert facts["cointeract.data_hash"] == "rows"
    assert len(facts["cointeract.model_hash"]) == 64
    assert facts["modelspec.architecture"] == "wan-2.2-s2v-14b/cointeract-lora"
    assert facts["modelspec.title"] == "mine"
    assert json.loads(facts["ss_network_args"]) == {"experts": True, "hoi": "asymmetric"}
    settings_file = tmp_path / "settings.toml"
    settings_file.write_text(facts["cointeract.settings"], encoding="utf-8")
    assert load_settings(settings_file).lora.rank == RANK


def test_a_fresh_start_adds_nothing_yet(base, registered):
    """Fresh experts are silent, the HOI stream is a copy of the RGB stream's parts, LoRA is zero."""
    plan = plan_load(base, "none")
    dit = load_training_model(plan, "default", hoi=True, experts=True, seed=0).dit
    for experts in dit.experts:
        assert not experts.hand.fc2.weight.any()
        assert not experts.face.fc2.bias.any()
        assert experts.router[0].weight.std() > 0
    assert torch.equal(dit.hoi.patch_embedding.weight.float(), dit.patch_embedding.weight.float())
    assert torch.equal(dit.hoi.head.head.weight.float(), dit.head.head.weight.float())
    assert torch.equal(dit.hoi.modulation[1].float(), dit.blocks[1].modulation.float())
    assert not dit.hoi.type_embedding.weight.any()
