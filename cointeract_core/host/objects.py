"""ComfyUI's objects as this pack uses them: what is read of each and what is called, for readers and type checkers.

Nothing is compared with these while the pack runs, and nothing of ComfyUI is imported: `contract.py` lists its symbols,
`files/check_wired.py` looks at what users wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, TypedDict

import torch
from torch import Tensor, nn

from ..model.parts import Options

Conditioning: TypeAlias = list[list[Any]]  # CONDITIONING: pairs of an embedding `[1, T, text_dim]` and values by name
UnetConfig: TypeAlias = dict[str, Any]  # what `comfy.model_detection` finds in a file: a transformer's arguments
Graph: TypeAlias = Mapping[str, Any]  # a workflow in the API form, a hidden input of nodes: its nodes by their id


class LatentFormat(Protocol):
    """`comfy.latent_formats.LatentFormat`: between the VAE's scale of latents and the model's."""

    def process_in(self, latent: Tensor) -> Tensor:
        """Into the model's scale."""

    def process_out(self, latent: Tensor) -> Tensor:
        """Back into the VAE's."""


class ModelConfig(Protocol):
    """`comfy.supported_models_base.BASE`: what a model is built from."""

    unet_config: UnetConfig


class BaseModel(Protocol):
    """`comfy.model_base.BaseModel`: a transformer, with its conditions and latents as ComfyUI has them."""

    diffusion_model: Any  # a `CoInteractDiT`, where `check_model` let it pass
    model_config: ModelConfig
    latent_format: LatentFormat

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """As of any `nn.Module`."""


class Patcher(Protocol):
    """`comfy.model_patcher.ModelPatcher`: a MODEL."""

    model: BaseModel
    load_device: torch.device
    offload_device: torch.device
    patches: dict[str, list[object]]
    forced_hooks: object | None

    def clone(self) -> Patcher:
        """Another one over the same weights."""

    def model_size(self) -> int:
        """Bytes of weights."""

    def add_patches(self, patches: Mapping[str, object], strength_patch: float) -> Iterable[str]:
        """Put a LoRA over the weights; the names it fits."""

    def add_object_patch(self, name: str, obj: object) -> None:
        """Put something in the place of a part of the model."""

    def patch_model(self, device_to: torch.device) -> object:
        """Change the weights as the patches say."""

    def get_model_object(self, name: str) -> object:
        """A part of the model, or what was put in its place."""

    def get_wrappers(self, wrapper_type: str, key: str) -> Sequence[object]:
        """What is around a call of the host's under that key."""

    def add_wrapper_with_key(self, wrapper_type: str, key: str, wrapper: Callable[..., object]) -> None:
        """Put a function around a call of the host's."""

    def remove_wrappers_with_key(self, wrapper_type: str, key: str) -> None:
        """Take them away again."""


class Guider(Protocol):
    """`comfy.samplers.CFGGuider` while it samples."""

    model_patcher: Any  # a `Patcher`, ours where it was prepared
    model_options: dict[str, Options]
    conds: dict[str, list[dict[str, object]]]


class Executor(Protocol):
    """`comfy.patcher_extension.WrapperExecutor` around a guider's `outer_sample`: what a wrapper calls to go on."""

    class_obj: Guider

    def __call__(self, *args: object, **kwargs: object) -> Tensor:
        """Latents."""


class Vae(Protocol):
    """`comfy.sd.VAE`: a VAE."""

    first_stage_model: Any  # a `comfy.ldm.wan.vae.WanVAE`, where `check_vae` let it pass
    latent_channels: int
    patcher: object
    device: torch.device
    output_device: torch.device
    vae_dtype: torch.dtype
    disable_offload: bool

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """Frames `[F, H, W, 3]` in 0-1 to latents."""

    def decode(self, samples_in: Tensor) -> Tensor:
        """Latents to frames `[1, F, H, W, 3]` in 0-1."""

    def memory_used_decode(self, shape: Sequence[int], dtype: torch.dtype) -> float:
        """Bytes that decoding needs beside the weights."""

    def spacial_compression_decode(self) -> int:
        """Pixels of a latent cell's side."""

    def process_output(self, image: Tensor) -> Tensor:
        """The decoder's -1…1 to 0-1; may write in place."""


class TextEncoder(Protocol):
    """`comfy.sd.CLIP`: a CLIP, of whatever kind."""

    cond_stage_model: object

    def tokenize(self, text: str) -> object:
        """What `encode_from_tokens_scheduled` reads."""

    def encode_from_tokens_scheduled(self, tokens: object) -> Conditioning:
        """The embedding of a prompt."""


class AudioEncoder(Protocol):
    """`comfy.audio_encoders.audio_encoders.AudioEncoderModel`: an AUDIO_ENCODER."""

    model: nn.Module

    def encode_audio(self, audio: Tensor, sample_rate: int) -> dict[str, Any]:
        """Hidden states of sound `[B, C, T]`."""


class Audio(TypedDict):
    """An AUDIO."""

    waveform: Tensor  # [B, C, T]
    sample_rate: int


class VideoComponents(Protocol):
    """`comfy_api.latest.Types.VideoComponents`: a VIDEO's frames `[F, H, W, C]` in 0-1, and their rate."""

    images: Tensor
    frame_rate: Fraction


class Video(Protocol):
    """`comfy_api.latest.Input.Video`: a VIDEO; some also say which file they come from, see `files/video_file.py`."""

    def get_components(self) -> VideoComponents:
        """All of it, in memory."""


class Server(Protocol):
    """`server.PromptServer.instance`: the running server."""

    client_id: str | None
    routes: Any  # `aiohttp.web.RouteTableDef`

    def send_sync(self, event: str, data: object, sid: str | None) -> None:
        """Send a message to a page."""
