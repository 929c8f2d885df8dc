"""Whether this pack and the ComfyUI at hand fit together: asked of both in seconds, with no model file.

Three questions, each answered by trying on tiny models whose weights follow a formula: does every model of ComfyUI's
own still find its entry with ours in the list; does our short decode give what the whole decode gives; does a clip of
two steps come out as it did where the pack was made.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ..clips.parts import ClipScene, PersonReference, ProductReference, Prompts, Speech
from ..clips.plan import plan_video
from ..constants import AUDIO_DIM, AUDIO_LAYERS, AUDIO_SAMPLE_RATE, LATENT_CHANNELS
from ..errors import ModelFileError
from ..host.objects import UnetConfig
from ..shapes import VideoSize

Answer = TypeVar("Answer")
BACKBONE: UnetConfig = {"dim": 128, "ffn_dim": 192, "num_heads": 1, "num_layers": 2, "model_type": "s2v"}
EXPERT_HIDDEN, TEXT_WIDTH, CELLS, SEED = 16, 4096, 8, 3
VAE_SIZES: UnetConfig = {"z_dim": LATENT_CHANNELS, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "dim": 4}
VAE_SIZES |= {"temperal_downsample": [False, True, True]}
LATENTS, FRAMES = 9, 13
# recorded on ComfyUI 0.3.75 and found again on 0.33.0, CPU, float32: mean, spread, and values at places spread evenly
CLIP = (0.96796, 5.78157, 2.12375, -9.96890, -4.95981, 0.19171, -2.42756, -7.11547)
PICTURE = (0.51537, 0.32420, 0.69119, 0.98706, 0.75360, 0.58469, 0.71238, 0.02331)
PLACES = 6
SAME = 0.02  # of the spread: a GPU multiplies in TF32, and sums in another order; a wrong forward is off by all of it


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer: what was tried, and what differs, if anything does."""

    tried: str
    differs: str = ""

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return not self.differs


def check_comfyui() -> list[Finding]:
    """Try the pack on the ComfyUI that is imported; never raises.

    Returns:
        a finding for each question.
    """
    from ..host.model.registration import register

    register()
    questions = {
        "every model of ComfyUI finds its entry": _entries,
        "the end of a clip is decoded as the whole": _decoding,
        "a clip of two steps comes out as recorded": _sampling,
    }
    return [Finding(tried, _answer(ask)) for tried, ask in questions.items()]


def _answer(ask: Callable[[], Iterator[str]]) -> str:
    answer = _try(lambda: "; ".join(ask()))
    return f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else answer


def _try(ask: Callable[[], Answer]) -> Answer | Exception:
    """What comes back, or what was raised: of a ComfyUI of an unknown form that may be anything."""
    try:
        return ask()
    except Exception as error:
        return error


def _entries() -> Iterator[str]:
    """Ask for each entry's own configuration, with our entry in the list and without it."""
    from ..host.model.registration import host_entries, unregistered

    configs = {entry.__name__: entry.unet_config for entry in host_entries()}
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # ComfyUI logs an error where no entry wants so little of a model
    try:
        with_ours = _found(configs)
        with unregistered():
            without = _found(configs)
    finally:
        logging.disable(level)
    for name, found in with_ours.items():
        if found != without[name]:
            yield f"{name} is taken for {found} instead of {without[name]}"


def _found(configs: dict[str, UnetConfig]) -> dict[str, str]:
    """What ComfyUI takes each configuration for: an entry's name, or the error it raises for so little of a model."""
    from ..host.model.registration import find_entry

    # an entry may want more than this to be made and raise; ours must not change that
    return {name: type(_try(partial(find_entry, config))).__name__ for name, config in configs.items()}


def _decoding() -> Iterator[str]:
    from ..host.model.standalone import host_vae, plain_vae
    from ..host.video.decode import end_decoder

    with torch.inference_mode():
        module = plain_vae(VAE_SIZES)
        vae = host_vae(by_formula({name: tuple(value.shape) for name, value in module.state_dict().items()}))
        latents = _values("latents", (1, LATENT_CHANNELS, LATENTS, CELLS, CELLS))
        whole = vae.decode(latents)[0].float().cpu()
        end = end_decoder(vae)(latents, FRAMES).float().cpu()
    off = (end - whole[-FRAMES:]).abs().max().item()
    if off > SAME:
        yield f"the last frames are off by up to {off:.0%} of the range"
    yield from _compare("the decoded picture", whole, PICTURE)


def _sampling() -> Iterator[str]:
    from ..host.forms import load_state_dict_as_model
    from ..host.model.prepare import prepared
    from ..host.model.skeleton import model_shapes
    from ..host.video.conditions import clip_conditions
    from ..host.video.sampling import PUBLISHED_SCHEDULE, SampleSettings, make_sigmas, sample_clip, with_shift

    settings = SampleSettings(SEED, steps=2, cfg=3.0, shift=7.0, sampler="euler", scheduler=PUBLISHED_SCHEDULE)
    with torch.inference_mode():
        state = by_formula(model_shapes(BACKBONE, expert_hidden=EXPERT_HIDDEN))
        patcher = load_state_dict_as_model(state, {"dtype": torch.float32}, None)
        if patcher is None:
            raise ModelFileError("ComfyUI does not know the model, but one of ours was expected; update CoInteract.")
        scene = _scene()
        shifted = with_shift(prepared(patcher), settings.shift)
        conditions = clip_conditions(scene, scene.speech.plan.clips[0], None)
        latents = sample_clip(shifted, conditions, settings, make_sigmas(shifted, settings), SEED)
    yield from _compare("the clip", latents.float().cpu(), CLIP)


def _scene() -> ClipScene:
    """A person, a product and one clip of speech."""
    picture = (1, LATENT_CHANNELS, 1, CELLS, CELLS)
    plan = plan_video(80, 1)
    speech = Speech(
        _values("speech", (AUDIO_LAYERS, AUDIO_DIM, 80)), torch.zeros(1, 1, 1), AUDIO_SAMPLE_RATE, plan, False
    )
    texts = [[[_values(name, (1, 6, TEXT_WIDTH)), {}]] for name in ("prompt", "negative")]
    person = PersonReference(_values("person", picture), VideoSize.of_latent(CELLS, CELLS))
    return ClipScene(person, speech, Prompts((texts[0],), texts[1]), ProductReference(_values("product", picture), 1.0))


def by_formula(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights that keep the spread of what passes through, the same on every machine."""
    state = {}
    for name, shape in shapes.items():
        scales = name.endswith("gamma") or (len(shape) == 1 and name.endswith("weight"))
        columns = math.prod(shape[1:]) if len(shape) > 1 else 100
        state[name] = torch.ones(shape) if scales else _values(name, shape) * (1.4 / math.sqrt(columns))
    return state


def _values(name: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers in -1…1 without a pattern that a model could mistake for a picture, from a name and a shape."""
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big")
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    return (places * (1 + math.sqrt(5)) * 0.5 + places**2 * 1e-3 + start).sin().float().reshape(shape)


def measures(tensor: Tensor) -> tuple[float, ...]:
    """Mean, spread, and values at places spread evenly."""
    flat = tensor.flatten()
    places = [int((number + 0.5) * len(flat) / PLACES) for number in range(PLACES)]
    return flat.mean().item(), flat.std().item(), *flat[places].tolist()


def _compare(what: str, found: Tensor, recorded: tuple[float, ...]) -> Iterator[str]:
    spread = recorded[1]
    off = max(abs(one - other) for one, other in zip(measures(found), recorded, strict=True)) / spread
    if not off <= SAME:  # not a number is not the same
        yield f"{what} is off by {off:.1%} of its spread"


def describe(findings: list[Finding]) -> str:
    """One sentence about all of them."""
    from ..host.version import running_host

    wrong = [f"“{finding.tried}” does not hold ({finding.differs})" for finding in findings if not finding.ok]
    if not wrong:
        return f"CoInteract works on ComfyUI {running_host()} as it should: {len(findings)} checks."
    return (
        f"CoInteract does not work on ComfyUI {running_host()} as it should: {', and '.join(wrong)}; update CoInteract."
    )
