"""Everything that decides how a run trains; the defaults are the published ones where there are any.

Source: TR, PIPE:166-440 and `train.sh` of the reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...constants import (
    CLIP_TARGET_LATENTS,
    HOI_LOSS_SHARE,
    LORA_RANK,
    PIXELS_PER_TOKEN,
    ROUTER_LOSS_SHARE,
    ROUTER_WEIGHTS,
    TRAINING_SHIFT,
)
from ...errors import InputError
from ...shapes import LARGEST_SIDE, SMALLEST_SIDE, VideoSize
from .memory_modes import MEMORY_MODES, RECIPES
from .optimizer import OptimizerSettings
from .rules import choice, number, refuse, switch, text, whole
from .targets import TARGETS

HOI_MODES = ("asymmetric", "mutual", "two_stage", "off")
TIMESTEP_RULES = ("published", "uniform", "logit_normal")
TRAININGS = LORA, FULL = ("lora", "full")
BASE_DTYPES = ("default", "fp8_e4m3fn", "fp8_e5m2")  # not the “fast” one: products in 8 bits have no gradient
COMPUTE_DTYPES = ("default", "float32", "bfloat16")
BAD_ROWS = ("refuse", "skip")
RUN_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_-])?")  # Windows drops a dot at the end
FEWEST_LATENTS = 2
MOST_LATENTS = 60  # 9.6 s: positions of the references lie at 30 and 31, beyond twice that nothing was ever tried


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Files, by the names the host lists them under, and what of the model is trained.

    Attributes:
        train: `lora` leaves the base as it is, `full` trains every parameter of it.
        compute_dtype: precision of the products; by default the device's: bfloat16 on cards, float32 on the CPU.
    """

    base: str
    vae: str
    text_encoder: str
    audio_encoder: str
    adapter: str = "none"
    base_dtype: str = "default"
    train: str = LORA
    compute_dtype: str = "default"

    def __post_init__(self) -> None:
        advice = "name a file as ComfyUI lists it"
        for name in ("base", "vae", "text_encoder", "audio_encoder", "adapter"):
            text(f"model.{name}", getattr(self, name), advice)
        choice("model.base_dtype", self.base_dtype, BASE_DTYPES)
        choice("model.train", self.train, TRAININGS)
        choice("model.compute_dtype", self.compute_dtype, COMPUTE_DTYPES)
        if self.train == FULL and self.base_dtype != "default":
            expected = "with model.train full every parameter is kept in float32, for small steps vanish in 8 bits"
            raise refuse("model.base_dtype", self.base_dtype, expected, "use default, or model.train lora")

    @property
    def whole(self) -> bool:
        """Whether every parameter of the base is trained."""
        return self.train == FULL


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Rows and the form they are trained in.

    Attributes:
        table: CSV file.
        width, height: of the video the model sees; both 0 keep each row's own shape within `max_pixels`.
        latents: target latents, at most; rows with less footage have fewer.
        bad_rows: what to do with rows that fail the preflight.
        validation_rows: rows that are held out, numbered as a spreadsheet numbers them.
    """

    table: str
    width: int = 480
    height: int = 832
    max_pixels: int = 480 * 832
    latents: int = CLIP_TARGET_LATENTS
    bad_rows: str = "refuse"
    validation_rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        text("data.table", self.table, "name a CSV file")
        for name in ("width", "height"):
            value = getattr(self, name)
            whole(f"data.{name}", value, 0, f"use a multiple of {PIXELS_PER_TOKEN} such as 480", LARGEST_SIDE)
            if value and (value % PIXELS_PER_TOKEN or value < SMALLEST_SIDE):
                expected = f"a multiple of {PIXELS_PER_TOKEN} from {SMALLEST_SIDE} on is expected"
                near = max(SMALLEST_SIDE, round(value / PIXELS_PER_TOKEN) * PIXELS_PER_TOKEN)
                raise refuse(f"data.{name}", value, expected, f"use {near}")
        if (self.width == 0) != (self.height == 0):
            size = VideoSize(self.width, self.height)
            raise refuse("data.width x height", size, "both or neither may be 0", "give both")
        whole("data.max_pixels", self.max_pixels, SMALLEST_SIDE**2, "use 399360 for the area of 480x832")
        advice = f"use {CLIP_TARGET_LATENTS} for clips of 80 frames"
        whole("data.latents", self.latents, FEWEST_LATENTS, advice, MOST_LATENTS)
        choice("data.bad_rows", self.bad_rows, BAD_ROWS)
        if not isinstance(self.validation_rows, tuple):
            expected = "a list of row numbers is expected"
            raise refuse("data.validation_rows", self.validation_rows, expected, "use [2, 7]")
        for row in self.validation_rows:
            whole("data.validation_rows", row, 2, "rows are numbered from 2, the one under the header")

    @property
    def size(self) -> VideoSize | None:
        """The size every row is brought to; None where each keeps its shape."""
        return VideoSize(self.width, self.height) if self.width else None


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """LoRA, and whether router and experts are trained beside it."""

    rank: int = LORA_RANK
    alpha: float = float(LORA_RANK)
    targets: tuple[str, ...] = tuple(TARGETS)
    experts: bool = True

    def __post_init__(self) -> None:
        whole("lora.rank", self.rank, 1, f"the published rank is {LORA_RANK}", 1024)
        number("lora.alpha", self.alpha, 0, "use the rank for a scale of 1", above=True)
        if not isinstance(self.targets, tuple) or not self.targets:
            expected = f"some of {', '.join(TARGETS)} are expected"
            raise refuse("lora.targets", self.targets, expected, "name at least one")
        for target in self.targets:
            choice("lora.targets", target, tuple(TARGETS))
        switch("lora.experts", self.experts)


@dataclass(frozen=True, slots=True)
class HoiSettings:
    """The HOI stream: `mutual` lets the target see it (stage 1), `asymmetric` does not (stage 2).

    Attributes:
        switch_step: of `two_stage`: the step from which on it is asymmetric.
    """

    mode: str = "asymmetric"
    switch_step: int = 0

    def __post_init__(self) -> None:
        choice("hoi.mode", self.mode, HOI_MODES)
        whole("hoi.switch_step", self.switch_step, 0, "use 0 except for two_stage")
        if self.mode == "two_stage" and self.switch_step == 0:
            raise refuse("hoi.switch_step", 0, "two_stage needs a step to switch at", "use half of the steps")
        if self.mode != "two_stage" and self.switch_step:
            raise refuse("hoi.switch_step", self.switch_step, f"mode {self.mode} never switches", "use mode two_stage")


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How often conditions are dropped, and how noise levels are drawn (TR:180-320)."""

    prompt_dropout: float = 0.1
    motion_dropout: float = 0.4
    pose_dropout: float = 0.5
    audio_dropout: float = 0.1
    timesteps: str = "published"
    shift: float = TRAINING_SHIFT
    logit_mean: float = 0.0
    logit_std: float = 1.0

    def __post_init__(self) -> None:
        for name in ("prompt_dropout", "motion_dropout", "pose_dropout", "audio_dropout"):
            number(f"sampling.{name}", getattr(self, name), 0, "0.1 drops it in one of ten samples", 1)
        choice("sampling.timesteps", self.timesteps, TIMESTEP_RULES)
        number("sampling.shift", self.shift, 0, f"the published value is {TRAINING_SHIFT:g}", 100, above=True)
        number("sampling.logit_mean", self.logit_mean, -10, "0 centres the levels", 10)
        number("sampling.logit_std", self.logit_std, 0, "1 is usual", 10, above=True)


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Shares of the router's and the HOI stream's loss, and of the classes in the router's."""

    router: float = ROUTER_LOSS_SHARE
    hoi: float = HOI_LOSS_SHARE
    base_weight: float = ROUTER_WEIGHTS[0]
    hand_weight: float = ROUTER_WEIGHTS[1]
    face_weight: float = ROUTER_WEIGHTS[2]

    def __post_init__(self) -> None:
        for name in ("router", "hoi", "base_weight", "hand_weight", "face_weight"):
            number(f"loss.{name}", getattr(self, name), 0, "0 leaves the term out")


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Length of the run, and what it leaves behind.

    Attributes:
        name: of its folder in the output folder and of its adapter.
        save_every, validate_every, sample_every: steps; 0 switches it off (a state is saved at the end anyway).
        keep_last: states kept; 0 keeps all.
        sample_steps: denoising steps of a sample video.
        resume: go on from the newest state of that name.
        keep_hoi: keep the HOI stream in the adapter, to continue training from it.
        official_names: also write the adapter under the authors' names.
    """

    name: str
    steps: int = 1000
    seed: int = 0
    save_every: int = 100
    keep_last: int = 3
    validate_every: int = 0
    sample_every: int = 0
    sample_steps: int = 20
    resume: bool = True
    keep_hoi: bool = False
    official_names: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not RUN_NAME.fullmatch(self.name):
            expected = "at most 80 letters, digits, _, - and . are expected, no . or - first and no . last"
            raise refuse("run.name", self.name, expected, "use a name such as my_product")
        whole("run.steps", self.steps, 1, "1000 is a start for a few dozen rows")
        whole("run.seed", self.seed, 0, "use 0", 2**63 - 1)
        for name in ("save_every", "keep_last", "validate_every", "sample_every"):
            whole(f"run.{name}", getattr(self, name), 0, "0 switches it off")
        whole("run.sample_steps", self.sample_steps, 1, "20 is enough to judge by")
        for name in ("resume", "keep_hoi", "official_names"):
            switch(f"run.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """How memory is saved, named by the card it is meant for."""

    mode: str = "80gb"

    def __post_init__(self) -> None:
        choice("memory.mode", self.mode, MEMORY_MODES)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One run."""

    model: ModelSettings
    data: DataSettings
    run: RunSettings
    lora: LoraSettings = LoraSettings()
    hoi: HoiSettings = HoiSettings()
    sampling: SamplingSettings = SamplingSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    memory: MemorySettings = MemorySettings()

    def __post_init__(self) -> None:
        if self.hoi.switch_step >= self.run.steps:
            expected = f"a step before the last, {self.run.steps}, is expected"
            raise refuse("hoi.switch_step", self.hoi.switch_step, expected, "use half of the steps")
        if self.optimizer.warmup >= self.run.steps:
            expected = f"fewer than the run's {self.run.steps} steps are expected"
            raise refuse("optimizer.warmup", self.optimizer.warmup, expected, "use a tenth of the steps")
        if self.hoi.mode == "off" and self.run.keep_hoi:
            raise InputError(
                "run.keep_hoi is true, but hoi.mode is off, so there is no HOI stream to keep; switch one of them."
            )
        if self.optimizer.name == "adamw8bit" and not RECIPES[self.memory.mode].trained_on_device:
            expected = f"with memory.mode {self.memory.mode} the update is made by the CPU, where it saves nothing"
            raise refuse("optimizer.name", self.optimizer.name, expected, "use adamw, or memory.mode 48gb")
        if self.model.whole and self.run.official_names:
            raise InputError(
                "run.official_names is true, but model.train full leaves a whole model, which has no LoRA to write "
                "under the authors' names; switch one of them."
            )
        if self.model.whole and not self.lora.experts and self.loss.router:
            raise InputError(
                f"lora.experts is false, so no router is trained, but loss.router is {self.loss.router:g}; set it to "
                "0, or train the experts."
            )
        if not self.lora.experts and self.loss.router and self.model.adapter == "none":
            raise InputError(
                "lora.experts is false, but without an adapter there are no experts to route to; train the experts, or "
                "choose an adapter that has them."
            )
