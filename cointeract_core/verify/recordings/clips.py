"""The whole loop over clips against a recorded run of the authors' program: sampler, guidance, VAE, hand-over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...clips.loop import FinishedClip, run_clips
from ...clips.parts import ClipScene, PersonReference, ProductReference, Prompts, Speech
from ...clips.plan import plan_video
from ...clips.scene import build_scene
from ...conditioning.images import check_image, fit_person, fit_product
from ...conditioning.speech import features_at_25fps
from ...constants import MOTION_LATENTS
from ...host.model.prepare import prepared
from ...host.video.sampling import PUBLISHED_SCHEDULE, SampleSettings, clip_sampler, make_sigmas, with_shift
from ...shapes import VideoSize
from .golden import Check, Golden, compare
from .tiny import TinyVae, build_patcher, build_vae

# One rounding may fall to the other side of an 8-bit step; each such pixel moves the next clip's motion latents.
EIGHT_BIT_STEP = 1.0
CARRIED = 1e-3  # what flipped pixels may move the second clip's latents; 1.3e-5 measured
GUIDED = 1e-5  # guidance scale 3 multiplies the float32 noise of two predictions; 5.7e-6 measured
HEARD = re.compile(r"hidden_states\[:, :(\d+)\]")  # how many hidden states the recorded run was given (info.replaced)


def check_clips(golden: Golden) -> Iterator[Check]:
    """Replay the run twice: with the recorded motion latents, then with our own hand-over."""
    steps, cfg, shift = _settings(golden)
    vae = build_vae(golden.neighbour(golden.info["weights_from"]["vae"].split(" ")[0]))
    patcher = build_patcher(golden.neighbour(golden.info["weights_from"]["dit"].split(" ")[0]))
    shifted = with_shift(prepared(patcher), shift)
    to_model, to_vae = patcher.model.latent_format.process_in, patcher.model.latent_format.process_out
    product, scene = _scene(golden, vae)
    yield compare("person latent", to_model(scene.person.latent), golden["mid.person_latent"])
    yield compare("product latent", to_model(product.latent), golden["mid.encode_product"])

    settings = SampleSettings(0, steps, cfg, shift, "euler", PUBLISHED_SCHEDULE)
    motions = [to_vae(latents[:, :, :MOTION_LATENTS]) for latents in _decoded(golden)[1:]]
    recorded = iter(motions)
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def run(encode: Callable[[Tensor], Tensor]) -> list[FinishedClip]:
        seen.clear()

        def callback_for(clip: int) -> Callable[..., None]:
            def keep(step: int, denoised: Tensor, noisy: Tensor, _total: int) -> None:
                seen[clip * steps + step] = (noisy.clone(), denoised.clone())

            return keep

        sample = clip_sampler(shifted, scene, settings, make_sigmas(shifted, settings), callback_for)
        return list(
            run_clips(
                scene.speech.plan,
                scene.person.latent,
                sample=sample,
                decode=lambda latents, frames: vae.decode(latents)[-frames:],
                encode=encode,
                eight_bit_hand_over=True,
            )
        )

    finished = run(lambda _frames: next(recorded))
    for step, (noisy, denoised) in seen.items():
        sigma = golden.info["timesteps"][step] / 1000.0
        yield compare(f"sample of step {step}", noisy, golden[f"out.step{step}.sample_in"][:, :, 1:], GUIDED)
        flow = (noisy - denoised) / sigma
        yield compare(f"guided flow of step {step}", flow, golden[f"out.step{step}.cfg_pred"][:, :, 1:], GUIDED)
    for clip, latents in zip(finished, _decoded(golden), strict=True):
        theirs = latents[:, :, -clip.target.shape[2] :]
        yield compare(f"latents of clip {clip.plan.index}", to_model(clip.target), theirs, GUIDED)
    yield from _frames(golden, finished, "")

    finished = run(vae.encode)
    for clip, latents in list(zip(finished, _decoded(golden), strict=True))[1:]:
        name = f"latents of clip {clip.plan.index} with our own motion frames"
        yield compare(name, to_model(clip.target), latents[:, :, MOTION_LATENTS:], CARRIED)
    yield from _frames(golden, finished, " with our own motion frames")


def _decoded(golden: Golden) -> list[Tensor]:
    """What the recorded run decoded, clip by clip."""
    names = [name for name in golden.tensors if name.startswith("out.decode_input_clip")]
    return [golden[f"out.decode_input_clip{number}"] for number in range(len(names))]


def _frames(golden: Golden, finished: list[FinishedClip], how: str) -> Iterator[Check]:
    pixels = torch.cat([clip.frames for clip in finished]).mul(255).round()
    chosen = pixels[golden.info["frames_index"]]
    yield compare(f"frames{how} (8-bit steps)", chosen, golden["out.frames_u8"].float(), EIGHT_BIT_STEP)
    means = pixels.mean(dim=(1, 2, 3))
    yield compare(f"mean of every frame{how} (8-bit steps)", means, golden["out.frames_mean"].float(), 0.01)


def _settings(golden: Golden) -> tuple[int, float, float]:
    """Steps, guidance scale and shift, which the file states in its title."""
    words = golden.info["title"].replace(",", " ").replace(")", " ").replace("(", " ").split()
    steps = int(words[words.index("steps") - 1])
    return steps, float(words[words.index("cfg") + 1]), float(words[words.index("shift") + 1])


def _scene(golden: Golden, vae: TinyVae) -> tuple[ProductReference, ClipScene]:
    person_image, product_image = (
        check_image(golden[f"in.{name}_image"][None].float() / 255.0, name) for name in ("person", "product")
    )
    size = VideoSize(person_image.shape[1], person_image.shape[0])
    person = PersonReference(vae.encode(fit_person(person_image, size, "stretch")), size)
    product = ProductReference(vae.encode(fit_product(product_image, None, size, padding=1.0)), 1.0)
    heard = HEARD.search(" ".join(golden.info["replaced"]))
    states = golden["in.hidden_states"][:, : int(heard[1]) if heard else None]
    features = features_at_25fps(states.float(), None)
    clips = len(_decoded(golden))
    plan = plan_video(features.shape[-1], clips, max_clips=clips, reference_behaviour=True)
    speech = Speech(features, torch.zeros(1, 1, 1), 16000, plan, reference_behaviour=True)
    said = dict.fromkeys(call["prompt"][0].split(" ")[0] for call in golden.info["calls"])  # "first prompt", …
    texts = [golden[f"in.context_{word}"] for word in said if f"in.context_{word}" in golden.tensors]
    prompts = Prompts(tuple([[text, {}]] for text in texts), [[golden["in.context_negative"], {}]])
    scene, _ = build_scene(person, speech, prompts, product)
    return product, scene
