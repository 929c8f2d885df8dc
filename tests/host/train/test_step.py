"""One sample's share of a step: what the HOI stream may touch, what is dropped, and bases in every precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cointeract_pack.cointeract_core.host.files.load_model import plan_load
from cointeract_pack.cointeract_core.host.train.model import load_training_model
from cointeract_pack.cointeract_core.training.settings.targets import TARGETS
from cointeract_pack.cointeract_core.training.step.lora import LoraSet, choose_layers
from cointeract_pack.cointeract_core.training.step.sample import PromptContexts, TrainingSample
from cointeract_pack.cointeract_core.training.step.step import (
    draw,
    in_model_scale,
    sample_generator,
    step_inputs,
    step_losses,
)
from cointeract_pack.cointeract_core.training.step.timesteps import Dropped
from cointeract_pack.cointeract_core.training.step.trainable import TrainableModel
from cointeract_pack.cointeract_core.training.table.token_masks import TokenMasks

KEEP = Dropped(prompt=False, motion=False, pose=False, audio=False)


def same(tensor):
    """The sample already is in the model's precision."""
    return tensor


def losses_of(case, sample, visibility, *, hoi=True, precision=torch.float32, drawn=None):
    settings = case.settings()
    model, lora = case.model(settings)
    model.dit.to(precision)
    drawn = drawn or draw(sample, settings.sampling, sample_generator(0, 2), hoi=hoi)
    with lora.attached(model.dit):
        return step_losses(
            model.dit, sample, drawn, settings.loss, visibility=visibility, to_model=lambda part: part.to(precision)
        )


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_asymmetric_hoi_leaves_the_rgb_loss_bit_equal(precision, training_case):
    """In the same step, with and without the stream: prediction and router answers, hence their losses."""
    sample = training_case.sample()
    drawn = draw(sample, training_case.settings().sampling, sample_generator(0, 2), hoi=True)
    beside = losses_of(training_case, sample, "asymmetric", precision=precision, drawn=drawn)
    alone = losses_of(training_case, sample, "off", precision=precision, drawn=replace(drawn, hoi_noise=None))
    assert beside.hoi is not None
    assert alone.hoi is None
    assert beside.rgb.item() == alone.rgb.item()
    assert beside.router.item() == alone.router.item()


def test_mutual_hoi_is_seen_by_the_rgb_stream(training_case):
    sample = training_case.sample()
    assert losses_of(training_case, sample, "mutual").rgb != losses_of(training_case, sample, "asymmetric").rgb


def test_absent_parts_leave_their_losses_out(training_case):
    """A row without HOI video, boxes, pose, product and motion frames trains on what it has."""
    bare = training_case.sample(hoi=None, token_masks=None, pose=None, product=None, joint=None)
    found = losses_of(training_case, bare, "asymmetric")
    assert found.hoi is None
    assert found.router is None
    assert found.face_accuracy is None
    assert found.total.item() == found.rgb.item()
    boxless = losses_of(training_case, training_case.sample(token_masks=None), "asymmetric").values()
    assert boxless["router"] is None
    assert boxless["hoi"] is not None


def inputs_of(case, dropped):
    sample = case.sample()
    drawn = replace(draw(sample, case.settings().sampling, sample_generator(0, 2), hoi=True), dropped=dropped)
    return sample, drawn, step_inputs(sample, drawn, "asymmetric", same)


def test_nothing_dropped_reads_the_joint_encoding(training_case):
    sample, drawn, given = inputs_of(training_case, KEEP)
    clean = sample.joint[:, :, 19:]
    assert torch.equal(given.clip.motion, sample.joint[:, :, :19])
    assert torch.equal(given.target, drawn.noise - clean)
    assert torch.equal(given.noisy, (1 - drawn.sigma) * clean + drawn.sigma * drawn.noise)
    assert given.timestep.item() == pytest.approx(1000 * drawn.sigma.item())
    assert given.hoi.timestep.item() == given.timestep.item()
    assert torch.equal(given.hoi_target, drawn.hoi_noise - sample.hoi)
    assert given.clip.context is sample.prompts.main
    assert given.hoi.context is sample.prompts.hoi
    assert given.clip.audio is sample.audio


def test_each_condition_can_be_dropped(training_case):
    everything = Dropped(prompt=True, motion=True, pose=True, audio=True)
    sample, drawn, given = inputs_of(training_case, everything)
    assert given.clip.context is sample.prompts.empty
    assert given.hoi.context is sample.prompts.hoi_empty
    assert given.clip.motion is None
    assert given.clip.pose is None
    assert not given.clip.audio.any()
    assert given.clip.audio.shape == sample.audio.shape
    assert torch.equal(given.target, drawn.noise - sample.alone)
    assert given.clip.person is sample.person


def real_size_sample(latents=2):
    """A sample in the widths of the real encoders, for models that came through the host's loaders."""
    generator = torch.Generator().manual_seed(3)

    def noise(*shape):
        return torch.randn(shape, generator=generator)

    clip = noise(1, 16, latents, 8, 8)
    texts = {name: noise(1, 6, 4096) for name in ("main", "empty", "hoi", "hoi_empty")}
    tokens = latents * 16
    masks = TokenMasks(face=torch.arange(tokens) < 9, hand=torch.arange(tokens) > tokens - 6)
    return TrainingSample(
        joint=torch.cat([noise(1, 16, 19, 8, 8), clip], dim=2),
        alone=clip,
        person=noise(1, 16, 1, 8, 8),
        product=noise(1, 16, 1, 8, 8),
        hoi=noise(1, 16, latents, 8, 8),
        pose=noise(1, 16, latents, 8, 8),
        audio=noise(1, 25, 1024, 4 * latents),
        prompts=PromptContexts(**texts),
        token_masks=TokenMasks(masks.face.to(torch.uint8), masks.hand.to(torch.uint8)),
    )


@pytest.mark.parametrize("form", ["bf16", "fp32", "fp8_e4m3fn", "scaled fp8"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_base_trains_in_every_precision(form, precision, put, tiny, training_case, registered):
    """The base stays as it is loaded; LoRA, experts and HOI stream are float32 and get gradients."""
    states = {"fp32": lambda: tiny.base(torch.float32), "scaled fp8": lambda: tiny.scaled_fp8(tiny.base())}
    name = put("diffusion_models", "base.safetensors", states.get(form, tiny.base)())
    dtype = form if form.startswith("fp8") else "default"
    model = load_training_model(plan_load(name, "none"), dtype, hoi=True, experts=True, seed=0)
    lora = LoraSet(choose_layers(model.dit, tuple(TARGETS)), 2, 2.0, torch.Generator().manual_seed(0))
    module = TrainableModel(model.dit, lora, targets=tuple(TARGETS), experts=True, hoi=True)
    frozen = {key: value.clone() for key, value in model.dit.state_dict().items() if not key.startswith("cointeract")}
    if "fp8" in form:
        assert torch.float8_e4m3fn in {value.dtype for value in frozen.values()}
    sample = in_model_scale(real_size_sample(), model.patcher.model.latent_format.process_in)
    settings = training_case.settings()
    drawn = draw(sample, settings.sampling, sample_generator(0, 2), hoi=True)
    with lora.attached(model.dit):
        found = step_losses(
            model.dit, sample, drawn, settings.loss, visibility="asymmetric", to_model=lambda part: part.to(precision)
        )
        found.total.backward()
    gradients = {key: parameter.grad for key, parameter in module.trainable().items() if parameter.grad is not None}
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    for part in (
        "self_attn.q.lora_B",
        "ffn.2.lora_B",
        "injector.0.k.lora_B",
        "router.0.weight",
        "hand.fc2",
        "hoi.head",
    ):
        assert any(part in key and gradient.any() for key, gradient in gradients.items()), part
    after = model.dit.state_dict()
    assert all(torch.equal(after[key].float(), value.float()) for key, value in frozen.items())
