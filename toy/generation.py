"""Videos of the world from a trained model, made by the pack's own code on the way its nodes take.

    open_host(comfyui, base)                                   # once, before anything of ComfyUI is imported
    generator = Generator(Encoders(), "CoInteract/toy_model.safetensors")
    pictures = generator.generate(scene, clips=2)              # [160, 128, 96, 3] uint8
    pictures = generator.generate(scene, latents=4)            # [16, 128, 96, 3], a clip as the short training data has

The demo samples with the same numbers, so this file imports nothing but the standard library when it loads.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from cointeract_pack.cointeract_core.clips.parts import ClipScene, PersonReference, ProductReference
    from cointeract_pack.cointeract_core.clips.plan import ClipPlan
    from cointeract_pack.cointeract_core.host.objects import Patcher
    from cointeract_pack.cointeract_core.host.video.conditions import ClipConditions
    from cointeract_pack.cointeract_core.host.video.sampling import SampleSettings

    from .world.scene import Scene

ROOT = Path(__file__).resolve().parents[1]
PACK = "cointeract_pack"  # the checkout as a package, whatever its folder is called; the tests name it so too
SHIPPED = ROOT / "toy" / "weights" / "toy_model.safetensors"  # packed; scripts/tiny/toy_models.py makes a base of it
TINY = "tiny.tiny_host_config"  # lets the host read a text encoder of the toy's size, and leaves zeros of its VAE out

# how the toy is sampled, here, in measurements and in the demo
STEPS = 20
GUIDANCE = 2.0
SHIFT = 3.0  # of noise levels, in training too: latents of 16x12 cells hold little
SAMPLER, SCHEDULER = "euler", "published"
SEED = 42  # as the samples of a training run
NEGATIVE = ""  # what training puts in the place of a prompt it drops

# as a row of the training table is encoded (cointeract_core/host/train/encode_rows.py)
PERSON_FIT, PRODUCT_FIT, PRODUCT_BACKGROUND = "crop", "pad", "black"
PRODUCT_SCALE = 1.0

WHOLE = 20  # latents of a clip
FRAMES_OF_A_LATENT = 4
BRIGHTEST = 255


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; the model's own noise of clip r is drawn with ``seed + r``.

    Attributes:
        guidance: scale of classifier-free guidance by prompt and speech; 1 takes half the time.
    """

    steps: int = STEPS
    guidance: float = GUIDANCE
    seed: int = SEED
    shift: float = SHIFT


def open_host(tree: Path, base: Path) -> None:
    """Make ComfyUI and the pack importable in this process, on a GPU where there is one.

    Args:
        tree: ComfyUI's folder.
        base: folder with `models`, `input` and so on, instead of the tree's own.

    Raises:
        ValueError: `tree` is no ComfyUI.
    """
    if not (tree / "comfy" / "model_base.py").is_file():
        raise ValueError(f"{tree} holds no ComfyUI, but its folder is expected; name one with --comfyui.")
    if str(tree) in sys.path:  # it is open
        return
    sys.path.insert(0, str(tree))
    sys.path.append(str(ROOT / "scripts"))
    pack = types.ModuleType(PACK)
    pack.__path__ = [str(ROOT)]
    sys.modules.setdefault(PACK, pack)
    from comfy.cli_args import args

    args.base_directory = str(base.resolve())
    from cointeract_pack.cointeract_core.host.model.standalone import settle_device

    settle_device()
    import utils.extra_config  # noqa: F401  before the host's `nodes`, which puts another utils in front

    import_module(TINY)


class Encoders:
    """Text encoder, speech encoder and VAE of the toy, loaded once for any number of models."""

    def __init__(self) -> None:
        from cointeract_pack.cointeract_core.host.files import load_encoders as load
        from cointeract_pack.cointeract_core.host.video.decode import end_decoder
        from cointeract_pack.cointeract_core.host.video.encode import encode_frames

        from .recipe import MODELS

        self._vae = load.load_vae(MODELS["vae"])
        self._text = load.load_text_encoder(MODELS["text_encoder"])
        self._speech = load.load_audio_encoder(MODELS["audio_encoder"])
        self._encode, self._decode = partial(encode_frames, self._vae), end_decoder(self._vae)

    def parts(self, scene: Scene, frames: int, first: int | None = None) -> ClipScene:
        """What a video of the scene is made from, encoded.

        Args:
            frames: of the video; its last clip ends with the speech.
            first: the scene's frame the speech begins with; by default the one with which data sets begin.
        """
        import torch

        from cointeract_pack.cointeract_core.clips.parts import ClipScene
        from cointeract_pack.cointeract_core.host.video.make_parts import make_prompts, make_speech

        from .dataset import MOTION
        from .world.voice import RATE, samples

        sound = samples(scene.seed, MOTION if first is None else first, frames)
        with torch.inference_mode():
            heard = torch.from_numpy(sound)[None, None]
            speech = make_speech(self._speech, {"waveform": heard, "sample_rate": RATE}, 0, False)[0]
            prompts = make_prompts(self._text, [scene.prompt], NEGATIVE)
            person, product = self._references(scene)
        return ClipScene(person, speech, prompts, product)

    def _references(self, scene: Scene) -> tuple[PersonReference, ProductReference]:
        from cointeract_pack.cointeract_core.constants import PRODUCT_PADDING
        from cointeract_pack.cointeract_core.host.video.make_parts import make_person, make_product
        from cointeract_pack.cointeract_core.shapes import VideoSize

        from .world.palette import HEIGHT, WIDTH
        from .world.render import person_picture, product_picture

        size = VideoSize(WIDTH, HEIGHT)
        person, _ = make_person(self._vae, _as_image(person_picture(scene)), size, PERSON_FIT)
        product, _ = make_product(
            self._vae,
            _as_image(product_picture(scene)),
            None,
            size,
            fit=PRODUCT_FIT,
            padding=PRODUCT_PADDING,
            background=PRODUCT_BACKGROUND,
            scale=PRODUCT_SCALE,
        )
        return person, product

    def encode(self, frames: Tensor) -> Tensor:
        """Frames `[F, H, W, 3]` in 0-1 to latents `[1, 16, (F - 1) / 4 + 1, h, w]`."""
        return self._encode(frames)

    def decode(self, latents: Tensor, frames: int) -> Tensor:
        """The last frames `[frames, H, W, 3]`, in 0-1, of latents."""
        return self._decode(latents, frames)


class Generator:
    """A model, and videos from it.

    Args:
        encoders: may be shared with other models.
        model: base as ComfyUI lists it under `diffusion_models`, or a path.
        adapter: as ComfyUI lists it under `loras` or `model_patches`, or a path; None for the base alone.
        strength: of the adapter's LoRA.

    Raises:
        ModelFileError: a file that is missing, or is no such model.
    """

    def __init__(self, encoders: Encoders, model: str, adapter: str | None = None, *, strength: float = 1.0) -> None:
        from cointeract_pack.cointeract_core.host.files.load_model import load_cointeract

        self.encoders = encoders
        base, over = _listed("diffusion_models", model), None if adapter is None else _listed("loras", adapter)
        self._patcher: Patcher = load_cointeract(base, over, strength=strength).patcher

    def generate(
        self,
        scene: Scene,
        clips: int = 1,
        steps: int = STEPS,
        guidance: float = GUIDANCE,
        seed: int = SEED,
        *,
        latents: int | None = None,
        first: int | None = None,
    ) -> np.ndarray:
        """A video of a scene: its person, product, prompt and voice, and nothing else of it.

        Args:
            clips: of 80 frames, each going on from the one before.
            steps, guidance, seed: see `Sampling`.
            latents: make one clip of so many latents, 1 to 20, of 4 frames each; None for whole clips.
            first: see `Encoders.parts`.

        Returns:
            `[80 * clips, 128, 96, 3]` or `[4 * latents, 128, 96, 3]`, uint8.

        Raises:
            ValueError: latents outside 1 to 20, or together with several clips.
            ResultError: the model makes something else than numbers.
        """
        if latents is not None and (clips != 1 or not 1 <= latents <= WHOLE):
            raise ValueError(
                f"latents is {latents} with {clips} clips, but 1 to {WHOLE} of one clip are expected; leave one away."
            )
        frames = FRAMES_OF_A_LATENT * (clips * WHOLE if latents is None else latents)
        parts = self.encoders.parts(scene, frames, first)
        return self.sample(parts, Sampling(steps, guidance, seed), latents)

    def sample(self, parts: ClipScene, sampling: Sampling, latents: int | None = None) -> np.ndarray:
        """The same of parts that were encoded before, for several models or seeds."""
        import numpy as np
        import torch

        from cointeract_pack.cointeract_core.clips.loop import run_clips
        from cointeract_pack.cointeract_core.host.model.prepare import prepared
        from cointeract_pack.cointeract_core.host.video import sampling as host

        settings = host.SampleSettings(
            sampling.seed, sampling.steps, sampling.guidance, sampling.shift, SAMPLER, SCHEDULER
        )
        model = host.with_shift(prepared(self._patcher), sampling.shift)
        sigmas = host.make_sigmas(model, settings)
        with torch.inference_mode():
            if latents is not None:
                return as_pictures(self._short_clip(model, parts, settings, sigmas, latents))
            made = run_clips(
                parts.speech.plan,
                parts.person.latent,
                sample=host.clip_sampler(model, parts, settings, sigmas, lambda _clip: lambda *_: None),
                decode=self.encoders.decode,
                encode=self.encoders.encode,
            )
            return np.concatenate([as_pictures(clip.frames) for clip in made])

    def _short_clip(
        self, model: Patcher, parts: ClipScene, settings: SampleSettings, sigmas: Tensor, latents: int
    ) -> Tensor:
        """Frames `[4 * latents, H, W, 3]` of a first clip that ends early."""
        import torch

        from cointeract_pack.cointeract_core.clips.watch import check_finite
        from cointeract_pack.cointeract_core.host.video.sampling import sample_clip

        conditions = short_conditions(parts, parts.speech.plan.clips[0], latents)
        target = sample_clip(model, conditions, settings, sigmas, settings.seed)
        check_finite(target, "the latents of the clip")
        behind = torch.cat([parts.person.latent.to(target), target], dim=2)  # as training encodes a first clip
        return self.encoders.decode(behind, FRAMES_OF_A_LATENT * latents)


def short_conditions(parts: ClipScene, plan: ClipPlan, latents: int) -> ClipConditions:
    """Conditions of a first clip of few latents: the speech and the empty latent are cut, everything else stays."""
    from cointeract_pack.cointeract_core.host.video.conditions import clip_conditions

    whole = clip_conditions(parts, plan, None)
    frames = FRAMES_OF_A_LATENT * latents
    positive, negative = (
        [[text, {**values, "audio_embed": values["audio_embed"][..., :frames]}] for text, values in conditioning]
        for conditioning in (whole.positive, whole.negative)
    )
    return replace(whole, positive=positive, negative=negative, latent=whole.latent[:, :, :latents])


def _as_image(picture: np.ndarray) -> Tensor:
    """A picture `[H, W, 3]` uint8 as the host's IMAGE `[1, H, W, 3]`."""
    import torch

    return torch.from_numpy(picture.copy())[None].float() / BRIGHTEST


def as_pictures(frames: Tensor) -> np.ndarray:
    """Frames `[F, H, W, 3]` in 0-1 as uint8, rounded as the mp4's."""
    import numpy as np
    import torch

    return np.asarray(frames.float().cpu().clamp(0, 1).mul(BRIGHTEST).round().to(torch.uint8).numpy())


def _listed(kind: str, given: str) -> str:
    """The name under which the host lists a file, given as such a name or as a path."""
    import folder_paths

    path = Path(given)
    if not path.is_file():
        return given
    folder_paths.add_model_folder_path(kind, str(path.resolve().parent), is_default=True)
    return path.name
