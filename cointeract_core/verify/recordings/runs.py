"""The runs a forward file holds, read from the ends of their names, and our forward on the same inputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...checkpoint.keys import OFFICIAL_HOI
from ...model.inputs import ClipInputs, DitOutput, HoiInputs
from ...model.parts import Options
from .golden import Golden

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from ...host.model.dit import CoInteractDiT

# words of a run's name; what is not said is as in the file's main run
WORDS = re.compile(
    r"_(?:t(?P<timestep>\d+(?:\.\d+)?)|(?P<unconditional>uncond)|(?P<silent>audio_zero)"
    r"|audiofacemask_(?P<face_mask>router|gt)|scale(?P<scale>\d+(?:\.\d+)?)|motion(?P<motion>\d+)"
    rf"|(?P<no_product>no_?product)|(?P<shared_prompt>no{OFFICIAL_HOI}context)"
    rf"|(?P<shared_timestep>no{OFFICIAL_HOI}timestep)|(?P<hoi_off>branch_off))(?=_|$)"
)


@dataclass(frozen=True, slots=True)
class Run:
    """One forward of a file: its inputs and whether it counts as conditional."""

    latents: Tensor
    timestep: Tensor
    clip: ClipInputs
    hoi: HoiInputs | None
    conditional: bool


def read_words(suffix: str) -> dict[str, str]:
    """What the end of a run's name says.

    Raises:
        ValueError: a word this program does not know.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(suffix):
        match = WORDS.match(suffix, at)
        if match is None:
            raise ValueError(f"the run {suffix!r} has a word this program does not know")
        found |= {name: word for name, word in match.groupdict().items() if word is not None}
        at = match.end()
    return found


def read_run(golden: Golden, suffix: str) -> Run:
    """The inputs of the run whose outputs end in `suffix`."""
    words = read_words(suffix)
    kwargs = golden.info.get("kwargs", {})
    both = golden["in.latents"]  # latent 0 is the clean person reference, the others are the noisy target
    named = torch.tensor([float(words["timestep"])]) if "timestep" in words else None
    timestep = golden["in.timestep"] if named is None else named
    audio = golden["in.audio_embeds"]
    motion = None if kwargs.get("drop_motion_frames", False) else golden["in.motion_latents"]
    if motion is not None and "motion" in words:
        motion = motion[:, :, -int(words["motion"]) :]
    face_mask = words.get("face_mask")
    clip = ClipInputs(
        context=golden["in.context"],
        audio=audio * 0.0 if "silent" in words else audio,
        person=both[:, :, :1],
        product=None if "no_product" in words else golden.get("in.product_image_latents"),
        product_scale=float(words.get("scale", kwargs.get("product_image_scale", 1.0))),
        motion=motion,
        pose=golden.get("in.s2v_pose_latents"),
        face_mask=golden["in.face_mask"][None].float() if face_mask == "gt" else face_mask,
    )
    hoi = None if "hoi_off" in words else _read_hoi(golden, words, named)
    return Run(both[:, :, 1:], timestep, clip, hoi, "unconditional" not in words)


def _read_hoi(golden: Golden, words: dict[str, str], named: Tensor | None) -> HoiInputs | None:
    latents = golden.get(f"in.{OFFICIAL_HOI}_latents")
    if latents is None:
        return None
    timestep = golden.get(f"in.{OFFICIAL_HOI}_timestep") if named is None else named
    return HoiInputs(
        latents,
        context=None if "shared_prompt" in words else golden.get(f"in.{OFFICIAL_HOI}_context"),
        timestep=None if "shared_timestep" in words else timestep,
        mutual=golden.info["kwargs"][f"{OFFICIAL_HOI}_mutual_visible"],
    )


def predict(dit: CoInteractDiT, run: Run, options: Options | None = None) -> DitOutput:
    """Our forward, router logits included where the model has a router."""
    with torch.inference_mode():
        return dit.predict(
            run.latents,
            run.timestep,
            run.clip,
            hoi=run.hoi,
            conditional=run.conditional,
            want_logits=dit.experts is not None,
            options=options,
        )


@dataclass
class Watch(AbstractContextManager["Watch"]):
    """What passes through the model's parts during a forward.

    Block inputs are seen through the host's own replacement of blocks (`options` goes into the forward), the rest
    through hooks.
    """

    dit: CoInteractDiT
    blocks: dict[int, Tensor] = field(default_factory=dict)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)

    def __enter__(self) -> Watch:
        self._hooks = ExitStack()
        heads = {"head": self.dit.head}
        if self.dit.hoi is not None:
            heads["hoi_head"] = self.dit.hoi.head
        for name, module in heads.items():
            self._add(module.register_forward_pre_hook(self._keep_input(name)))
        for name in ("text_embedding", "time_projection", "casual_audio_encoder"):
            self._add(getattr(self.dit, name).register_forward_hook(self._keep_output(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    @property
    def options(self) -> Options:
        """Transformer options that pass every block's input by."""
        replaced = {("double_block", index): self._keep_block(index) for index in range(len(self.dit.blocks))}
        return {"patches_replace": {"dit": replaced}}

    def _add(self, handle: RemovableHandle) -> None:
        self._hooks.callback(handle.remove)

    def _keep_block(self, index: int) -> Callable[[Options, Options], Options]:
        def replace(args: Options, extra: Options) -> Options:
            self.blocks[index] = args["img"].clone()
            out: Options = extra["original_block"](args)
            return out

        return replace

    def _keep_input(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def keep(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self.inputs[name] = args[0].clone()

        return keep

    def _keep_output(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(_module: nn.Module, _args: tuple[Tensor, ...], out: Tensor) -> None:
            self.outputs.setdefault(name, []).append(out)

        return keep
