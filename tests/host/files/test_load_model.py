"""Load CoInteract Model and the host's own loaders on every form of file users own."""

from __future__ import annotations

import comfy.model_base
import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract
from cointeract_pack.cointeract_core.host.model.base_model import CoInteractModel

pytestmark = pytest.mark.usefixtures("registered")


def loaded_state(patcher):
    """The transformer's tensors."""
    return patcher.model.diffusion_model.state_dict()


def same_bits(ours, theirs):
    """Equal dtype and equal bits."""
    return ours.dtype == theirs.dtype and torch.equal(*(t.reshape(-1).view(torch.uint8) for t in (ours, theirs)))


def check_experts(patcher, adapter, tiny):
    """Router and experts are those of the adapter, bit by bit."""
    state, experts = loaded_state(patcher), tiny.experts(adapter)
    assert len(experts) == 14 * tiny.LAYERS
    for name, tensor in experts.items():
        assert same_bits(state[name], tensor), name


@pytest.mark.parametrize("form", ["bf16", "fp16", "fp32", "fp8", "scaled fp8", "all in one"])
@pytest.mark.parametrize("weight_dtype", ["default", "fp8_e4m3fn", "fp8_e5m2"])
def test_experts_stay_bit_exact_over_any_base(form, weight_dtype, tiny, put):
    dtypes = {"fp16": torch.float16, "fp32": torch.float32}
    state = tiny.base(dtypes.get(form, torch.bfloat16))
    if form == "fp8":
        state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in state.items()}
    elif form == "scaled fp8":
        state = tiny.scaled_fp8(state)
    elif form == "all in one":
        state = {f"model.diffusion_model.{name}": tensor for name, tensor in state.items()} | {"vae.x": torch.ones(1)}
    adapter = tiny.adapter()
    base = put("diffusion_models", "base.safetensors", state)
    patches = put("model_patches", "checkpoint.safetensors", adapter)
    loaded = load_cointeract(base, patches, weight_dtype=weight_dtype)
    assert isinstance(loaded.patcher.model, CoInteractModel)
    assert loaded.report == "136 LoRA tensors, 28 expert tensors, 0 unknown"
    check_experts(loaded.patcher, adapter, tiny)
    kept = loaded_state(loaded.patcher)["blocks.0.self_attn.q.weight"].dtype
    wanted = torch.float8_e5m2 if weight_dtype == "fp8_e5m2" else torch.float8_e4m3fn
    if form == "scaled fp8":
        wanted = torch.float8_e4m3fn
    if weight_dtype != "default" or form == "scaled fp8":  # a plain fp8 file is widened where memory allows it
        assert kept == wanted


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "model.diffusion_model.", "pipe.dit.", "base_model.model."])
@pytest.mark.parametrize("ending", [".default.weight", ".weight"])
def test_every_naming_of_an_adapter(prefix, ending, tiny, put):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    adapter = {prefix + name.replace(".default.weight", ending): value for name, value in tiny.adapter().items()}
    loaded = load_cointeract(base, put("loras", "checkpoint.safetensors", adapter))
    assert loaded.report == "136 LoRA tensors, 28 expert tensors, 0 unknown"
    assert len(loaded.patcher.patches) == 68


@pytest.mark.parametrize("strength", [1.0, 0.8, 0.0])
def test_lora_is_applied_without_a_rank_factor(strength, tiny, put):
    base, adapter = tiny.base(torch.float32), tiny.adapter()
    files = put("diffusion_models", "base.safetensors", base), put("model_patches", "a.safetensors", adapter)
    patcher = load_cointeract(*files, strength=strength).patcher
    patcher.patch_model(device_to=torch.device("cpu"))
    state = loaded_state(patcher)
    for module in tiny.LORA_MODULES:
        down, up = (adapter[f"{module}.lora_{part}.default.weight"].float() for part in "AB")
        name = module.replace("ffn_base.", "") + ".weight"
        merged = base[name] + strength * (up @ down)
        assert (state[name].float() - merged).abs().max() <= torch.finfo(state[name].dtype).eps, name
    patcher.unpatch_model()


def test_alpha_scales_where_a_file_brings_it(tiny, put):
    base, adapter = tiny.base(torch.float32), tiny.adapter(rank=8)
    adapter["blocks.0.self_attn.q.alpha"] = torch.tensor(4.0)
    files = put("diffusion_models", "base.safetensors", base), put("model_patches", "a.safetensors", adapter)
    loaded = load_cointeract(*files)
    assert loaded.report == "137 LoRA tensors, 28 expert tensors, 0 unknown"
    patches = loaded.patcher.patches["diffusion_model.blocks.0.self_attn.q.weight"]
    assert patches[0][1].weights[2] == 4.0


def test_hoi_tensors_are_left_out(tiny, put):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    loaded = load_cointeract(base, put("model_patches", "a.safetensors", tiny.adapter(hoi=True)))
    assert loaded.report == (
        "136 LoRA tensors, 28 expert tensors, 0 unknown, 8 of the HOI stream left out (training only)"
    )
    assert loaded.patcher.model.diffusion_model.hoi is None


@pytest.mark.parametrize("rank", [1, 7, 64])
def test_any_rank_fits(rank, tiny, put):
    base = put("diffusion_models", "base.safetensors", tiny.base())
    load_cointeract(base, put("model_patches", "a.safetensors", tiny.adapter(rank=rank)))


def test_base_alone_runs_our_forward(tiny, put):
    loaded = load_cointeract(put("diffusion_models", "base.safetensors", tiny.base()), "none")
    assert isinstance(loaded.patcher.model, CoInteractModel)
    assert loaded.patcher.model.diffusion_model.experts is None
    assert loaded.report.endswith("tensors of the base, no experts, no adapter")


def test_shards_are_joined(tiny, put):
    state = tiny.base()
    for index in range(4):
        part = {name: tensor for number, (name, tensor) in enumerate(state.items()) if number % 4 == index}
        put("diffusion_models", f"diffusion_pytorch_model-0000{index + 1}-of-00004.safetensors", part)
    first = "diffusion_pytorch_model-00001-of-00004.safetensors"
    adapter = tiny.adapter()
    loaded = load_cointeract(first, put("model_patches", "a.safetensors", adapter))
    check_experts(loaded.patcher, adapter, tiny)
    assert torch.equal(loaded_state(loaded.patcher)["head.modulation"].float(), state["head.modulation"].float())


def test_official_merged_file_loads(tiny, put):
    state = tiny.base()
    for name in [name for name in state if ".ffn." in name]:
        state[name.replace(".ffn.", ".ffn.ffn_base.")] = state.pop(name)
    adapter = tiny.adapter()
    state |= {name: value for name, value in adapter.items() if "lora" not in name}
    loaded = load_cointeract(put("diffusion_models", "merged.safetensors", state), None)
    check_experts(loaded.patcher, adapter, tiny)
    assert "28 expert tensors merged in" in loaded.report


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("quantised", [False, True])
def test_merged_file_through_the_hosts_diffusion_model_loader(prefix, quantised, tiny, put):
    from nodes import UNETLoader

    state = tiny.scaled_fp8(tiny.merged()) if quantised else tiny.merged()
    name = put("diffusion_models", "m.safetensors", {prefix + key: value for key, value in state.items()})
    patcher = UNETLoader().load_unet(name, "default")[0]
    assert isinstance(patcher.model, CoInteractModel)
    check_experts(patcher, tiny.adapter(), tiny)


@pytest.mark.parametrize("quantised", [False, True])
def test_merged_file_through_the_hosts_checkpoint_loader(quantised, tiny, tmp_path):
    state = tiny.scaled_fp8(tiny.merged()) if quantised else tiny.merged()
    path = tmp_path / "all in one.safetensors"
    save_file({f"model.diffusion_model.{key}": value for key, value in state.items()}, path)
    patcher = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False, output_clip=False)[0]
    assert isinstance(patcher.model, CoInteractModel)
    check_experts(patcher, tiny.adapter(), tiny)


def test_plain_s2v_stays_the_hosts_own(tiny, put):
    from nodes import UNETLoader

    patcher = UNETLoader().load_unet(put("diffusion_models", "s2v.safetensors", tiny.base()), "default")[0]
    assert type(patcher.model) is comfy.model_base.WAN22_S2V


def test_registering_twice_is_one_entry(host):
    import comfy.supported_models

    from cointeract_pack.cointeract_core.host.model.registration import register

    before = list(comfy.supported_models.models)
    register()
    assert [entry.__name__ for entry in comfy.supported_models.models] == [entry.__name__ for entry in before]
    models = comfy.supported_models.models
    assert models[models.index(comfy.supported_models.WAN22_S2V) - 1].__name__ == "CoInteractConfig"


def test_custom_operations_reach_backbone_and_experts(tiny):
    """What a third party such as the GGUF pack supplies builds every layer of ours too."""
    import comfy.ops

    made = []

    class Counting(comfy.ops.manual_cast):
        class Linear(comfy.ops.manual_cast.Linear):
            def __init__(self, *args, **kwargs):
                made.append(self)
                super().__init__(*args, **kwargs)

    patcher = comfy.sd.load_diffusion_model_state_dict(tiny.merged(), model_options={"custom_operations": Counting})
    modules = dict(patcher.model.diffusion_model.named_modules())
    counted = {id(module) for module in made}
    for name in ("blocks.1.ffn.0", "cointeract.experts.1.router.0", "cointeract.experts.0.face.fc2"):
        assert id(modules[name]) in counted, name
    check_experts(patcher, tiny.adapter(), tiny)


def test_node_gives_model_and_report(tiny, put):
    from cointeract_pack.nodes.loaders import LoadCoInteractModel

    base = put("diffusion_models", "base.safetensors", tiny.base())
    adapter = put("model_patches", "checkpoint.safetensors", tiny.adapter())
    node = LoadCoInteractModel.PREPARE_CLASS_CLONE({})  # no hidden inputs, which each ComfyUI wraps in its own way
    out = node.execute(base=base, adapter=adapter, strength=0.5, weight_dtype="default")
    assert isinstance(out.result[0].model, CoInteractModel)
    assert out.result[1] == "136 LoRA tensors, 28 expert tensors, 0 unknown"
    assert out.ui.as_dict() == {"text": (out.result[1],)}
    assert {patch[0][0] for patch in out.result[0].patches.values()} == {0.5}


@pytest.mark.parametrize("weight_dtype", ["default", "fp8_e4m3fn"])
def test_experts_in_float8(weight_dtype, tiny, put):
    """Large layers within a float8 step of their scale, everything else bit by bit; once saved, it loads again."""
    files = (
        put("diffusion_models", "base.safetensors", tiny.base()),
        put("model_patches", "checkpoint.safetensors", tiny.adapter()),
    )
    own = load_cointeract(*files, weight_dtype=weight_dtype).patcher
    small = load_cointeract(*files, weight_dtype=weight_dtype, experts_fp8=True).patcher
    dit, expected = small.model.diffusion_model, own.model.diffusion_model
    for mine, theirs in zip(dit.experts, expected.experts, strict=True):
        for layer, exact in ((mine.router[0], theirs.router[0]), (mine.hand.fc1, theirs.hand.fc1)):
            assert layer.weight.dtype == torch.float8_e4m3fn
            assert same_bits(layer.bias, exact.bias)
            step = exact.weight.float().abs().max() / 448
            error = (layer.weight.float() * layer.expert_scale - exact.weight.float()).abs()
            assert (error <= exact.weight.float().abs() / 16 + step).all()
        for layer, exact in ((mine.router[3], theirs.router[3]), (mine.router[2], theirs.router[2])):
            assert same_bits(layer.weight, exact.weight)
    x = torch.randn(1, 5, tiny.DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    for mine, theirs in zip(dit.experts, expected.experts, strict=True):
        torch.testing.assert_close(mine.route(x), theirs.route(x), rtol=0.05, atol=2e-3)
    saved = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    again = load_cointeract(put("diffusion_models", "merged.safetensors", saved), None, weight_dtype=weight_dtype)
    for name, tensor in dit.cointeract.state_dict().items():
        assert same_bits(again.patcher.model.diffusion_model.cointeract.state_dict()[name], tensor), name


def test_float8_experts_add_what_exact_ones_would(tiny, put):
    """The folded product of both second layers takes their scales too."""
    from cointeract_pack.cointeract_core.host.forms import LayerWeights
    from cointeract_pack.cointeract_core.model.experts import make_bias_units

    files = (
        put("diffusion_models", "base.safetensors", tiny.base(torch.float32)),
        put("model_patches", "checkpoint.safetensors", tiny.adapter(dtype=torch.float32)),
    )
    experts = load_cointeract(*files, experts_fp8=True).patcher.model.diffusion_model.experts[0]
    x = torch.randn(1, 5, tiny.DIM, generator=torch.Generator().manual_seed(1))
    shares = experts.route(x).softmax(-1)
    wanted = torch.zeros_like(x)
    for share, expert in ((shares[..., 1:2], experts.hand), (shares[..., 2:], experts.face)):
        wanted = wanted + share * expert.fc2(torch.nn.functional.gelu(expert.fc1(x), approximate="tanh"))
    with torch.no_grad():
        units = make_bias_units(x)
        found = experts.add_to(torch.zeros_like(x), x, shares, weights=LayerWeights, bias_units=units)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert wanted.abs().max() > 1e-4


@pytest.mark.parametrize("largest", [0.1, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_float8_experts_of_small_weights_in_16_bits(largest, dtype):
    """Their scale is far below what 16 bits hold well: only the product is rounded."""
    from cointeract_pack.cointeract_core.host.forms import LayerWeights
    from cointeract_pack.cointeract_core.host.model.fp8_experts import ScaledExperts, quantise_experts

    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    weight *= largest / weight.abs().max()
    name = "cointeract.experts.0.hand.fc1"
    state = quantise_experts({f"{name}.weight": weight})
    layer = ScaledExperts.Linear(32, 64, dtype=dtype)
    layer.load_state_dict(
        {key.removeprefix(f"{name}."): value for key, value in state.items()} | {"bias": torch.zeros(64)}
    )
    exact = state[f"{name}.weight"].float() * state[f"{name}.expert_scale"]
    with LayerWeights(layer, torch.zeros(1, 32, dtype=dtype)) as (found, _):
        assert found.dtype is dtype
        step = torch.finfo(dtype).eps * exact.abs() + torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
        assert ((found.float() - exact).abs() <= step).all()


def test_shapes_of_one_size_are_made_once(tiny, put, monkeypatch):
    """A load asks for the model's shapes several times; at 14B each answer takes a model of a thousand layers."""
    from cointeract_pack.cointeract_core.host.model import skeleton

    made, kind = [], skeleton.CoInteractDiT
    monkeypatch.setattr(skeleton, "CoInteractDiT", lambda **which: made.append(which) or kind(**which))
    skeleton._shapes_of.cache_clear()
    base = put("diffusion_models", "base.safetensors", tiny.base())
    for _ in range(2):
        load_cointeract(base, put("model_patches", "checkpoint.safetensors", tiny.adapter()))
    assert len(made) == len({tuple(sorted(map(str, which.items()))) for which in made}) <= 3
