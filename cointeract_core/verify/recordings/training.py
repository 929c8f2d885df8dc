"""One training step: both predictions, router logits, loss terms and gradients, through the one forward."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...checkpoint.keys import OFFICIAL_HOI, to_ours
from ...clips.schedule import timesteps
from ...model.inputs import ClipInputs, DitOutput, HoiInputs
from ...training.step.losses import flow_loss, router_loss, total_loss
from ...training.step.noise import add_noise, flow_target, loss_weights, training_sigmas
from ...training.table.token_masks import TokenMasks
from .dit import logit_tolerance_of
from .golden import Check, Golden, Info, compare, found_in, holds
from .tiny import build_dit

if TYPE_CHECKING:
    from ...host.model.dit import CoInteractDiT

SHIFT = re.compile(r"shift=(\d+(?:\.\d+)?)")  # in the file's description of the run
TERMS = {"diffusion_loss": "diffusion", "router_loss": "router", f"{OFFICIAL_HOI}_loss": "hoi", "loss": "total"}


def check_training(golden: Golden) -> Iterator[Check]:
    """Every run of a ``training_step`` file; without experts or HOI in its losses, a run has none of theirs."""
    shift = float(found_in(SHIFT, golden.info["how"])[1])
    sigmas, weights = training_sigmas(shift), loss_weights(shift)
    dit = build_dit(golden).train()
    for name, facts in golden.info["runs"].items():
        level = facts["timestep_id"]
        yield compare(f"{name}: noise level", sigmas[level], torch.tensor(facts["sigma"]))
        yield compare(f"{name}: weight", weights[level], torch.tensor(facts["training_weight"]))
        step = _Step(golden, dit, facts, sigmas[level], weights[level])
        yield from step.check_noise(f"_id{level}")
        dit.zero_grad(set_to_none=True)
        out = step.forward()
        yield from _predictions(golden, name, out)
        losses = step.losses(out)
        theirs = facts["losses"]
        for term, value in theirs.items():
            yield compare(f"{name}: {term}", losses[TERMS[term]], torch.tensor(value))
        terms = [theirs.get(term, 0.0) for term in golden.info["loss_terms_order"]]
        yield compare(f"{name}: the file's own terms", torch.tensor(terms), golden[f"out.{name}.loss_terms"])
        losses["total"].backward()
        yield from _gradients(golden, name, facts, dict(dit.named_parameters()))


class _Step:
    """Inputs of one run; latent 0 of the video is the clean person reference and of HOI it is dropped."""

    def __init__(self, golden: Golden, dit: CoInteractDiT, facts: Info, sigma: Tensor, weight: Tensor) -> None:
        self._golden, self._dit, self._facts, self._weight = golden, dit, facts, weight
        self._timestep = timesteps(sigma)[None]
        clean, noise = golden["in.input_latents"], golden["in.noise"]
        self._person = clean[:, :, :1]
        self._noisy = add_noise(clean[:, :, 1:], noise[:, :, 1:], sigma)
        self._target = flow_target(clean[:, :, 1:], noise[:, :, 1:])
        self._noisy_hoi: Tensor | None = None
        self._hoi_target: Tensor | None = None
        if facts["with_hoi"]:
            clean, noise = golden[f"in.{OFFICIAL_HOI}_latents"][:, :, 1:], golden[f"in.{OFFICIAL_HOI}_noise"]
            self._noisy_hoi, self._hoi_target = add_noise(clean, noise, sigma), flow_target(clean, noise)

    def check_noise(self, suffix: str) -> Iterator[Check]:
        """The noised latents, where the file holds them."""
        pairs = (
            ("latents_after_add_noise", torch.cat([self._person, self._noisy], dim=2)),
            (f"noisy_{OFFICIAL_HOI}", self._noisy_hoi),
        )
        for name, ours in pairs:
            theirs = self._golden.get(f"in.{name}{suffix}")
            if theirs is not None and ours is not None:
                # the reference puts the person latent in afterwards, so its own latent 0 is not compared
                latents = self._noisy.shape[2]
                yield compare(f"{name}{suffix}", ours[:, :, -latents:], theirs[:, :, -latents:])

    def forward(self) -> DitOutput:
        golden, facts = self._golden, self._facts
        hoi = None
        if self._noisy_hoi is not None:
            prompt, mutual = golden.get(f"in.{OFFICIAL_HOI}_context"), facts[f"{OFFICIAL_HOI}_mutual_visible"]
            hoi = HoiInputs(self._noisy_hoi, context=prompt, timestep=self._timestep, mutual=mutual)
        clip = ClipInputs(
            context=golden["in.context"],
            audio=golden["in.audio_embeds"],
            person=self._person,
            product=golden.get("in.product_image_latents"),
            motion=golden.get("in.motion_latents"),
            pose=golden.get("in.s2v_pose_latents"),
        )
        conditional = facts["is_conditional"]
        return self._dit.predict(
            self._noisy,
            self._timestep,
            clip,
            hoi=hoi,
            conditional=conditional,
            want_logits=self._routed,
            learning=True,
        )

    @property
    def _routed(self) -> bool:
        return "router_loss" in self._facts["losses"]

    def losses(self, out: DitOutput) -> dict[str, Tensor]:
        """The terms under our names."""
        terms = {"diffusion": flow_loss(out.video, self._target, self._weight)}
        if self._routed:
            masks = TokenMasks(face=self._golden["in.face_mask"], hand=self._golden["in.hand_mask"])
            terms["router"] = router_loss(out.router_logits, masks)
        if out.hoi is not None and self._hoi_target is not None:
            terms["hoi"] = flow_loss(out.hoi, self._hoi_target, self._weight)
        return {**terms, "total": total_loss(terms["diffusion"], terms.get("router"), terms.get("hoi"))}


def _predictions(golden: Golden, name: str, out: DitOutput) -> Iterator[Check]:
    yield compare(f"{name}: video", out.video, golden[f"out.{name}.rgb_pred"][:, :, 1:])
    if out.hoi is not None:
        yield compare(f"{name}: HOI", out.hoi, golden[f"out.{name}.hoi_pred"])
    if out.router_logits:
        theirs = golden[f"out.{name}.router_logits"]
        yield compare(f"{name}: router logits", torch.stack(out.router_logits), theirs, logit_tolerance_of(golden))


def _gradients(golden: Golden, name: str, facts: Info, parameters: dict[str, Tensor]) -> Iterator[Check]:
    # no gradient and one of zeros are the same: without a pose our encoder reads zeros, the reference's does not run
    gradients = {
        key: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for key, parameter in parameters.items()
    }
    for key, theirs in golden.group(f"out.{name}.grad.").items():
        yield compare(f"{name}: gradient of {key}", gradients[to_ours(key)], theirs)
    for key, theirs in facts["grad_l2"].items():
        length = gradients[to_ours(key)].norm()
        yield compare(f"{name}: length of the gradient of {key}", length, torch.tensor(theirs or 0.0))
    for key in facts["params_without_grad"]:
        yield holds(f"{name}: no gradient of {key}", not gradients[to_ours(key)].any())
