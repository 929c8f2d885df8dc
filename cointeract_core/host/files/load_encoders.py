"""VAE, text encoder and audio encoder by file name, through the host's own loaders: training loads them itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import comfy.audio_encoders.audio_encoders
import comfy.sd
import comfy.utils
import folder_paths

from ...checkpoint.header import read_headers
from ...checkpoint.identify import FileKind, identify
from ...errors import ModelFileError
from ...training.step.cache import EncoderStamps, file_stamp
from ..objects import AudioEncoder, TextEncoder, Vae
from .check_wired import AUDIO_FILE, TEXT_FILE, VAE_FILE, check_audio_encoder, check_text_encoder, check_vae
from .workflow import audio_encoder_vocabulary

log = logging.getLogger("cointeract")

VAE, TEXT, AUDIO = "vae", "text_encoder", "audio_encoder"
# input, folder of the host, what its file holds, the file to use
ROLES = {
    VAE: ("vae", FileKind.VAE, VAE_FILE),
    TEXT: ("text_encoders", FileKind.TEXT_ENCODER, TEXT_FILE),
    AUDIO: ("audio_encoders", FileKind.AUDIO_ENCODER, f"{AUDIO_FILE} as .safetensors"),
}
HEADED = (".safetensors", ".sft")


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """Names as the host lists them."""

    vae: str
    text_encoder: str
    audio_encoder: str

    def stamps(self) -> EncoderStamps:
        """Hashes that change when a file is replaced."""
        return EncoderStamps(*(file_stamp(_path(role, getattr(self, role))) for role in (VAE, TEXT, AUDIO)))


def check_encoders(files: EncoderFiles) -> None:
    """Look for all three files, and at their headers where they have one; nothing is loaded.

    Raises:
        ModelFileError: a missing file, or one that holds something else.
    """
    for role, (_, kind, wanted) in ROLES.items():
        name = getattr(files, role)
        path = _path(role, name)
        if path.suffix.lower() not in HEADED:
            continue
        found = identify(read_headers([path], f"{role} {name}"))
        if found.kind is not kind:
            raise ModelFileError(f"{role} {name} holds {found.label}, but {kind.value} was expected; choose {wanted}.")


def load_vae(name: str) -> Vae:
    """The host's VAE.

    Raises:
        ModelFileError: not the VAE of Wan 2.1.
    """
    vae: Vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(_path(VAE, name)), safe_load=True))
    check_vae(vae)
    return vae


def load_text_encoder(name: str) -> TextEncoder:
    """The host's CLIP of type wan.

    Raises:
        ModelFileError: not umT5-XXL.
    """
    clip: TextEncoder = comfy.sd.load_clip(
        ckpt_paths=[str(_path(TEXT, name))],
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        clip_type=comfy.sd.CLIPType.WAN,
    )
    check_text_encoder(clip)
    return clip


def load_audio_encoder(name: str) -> AudioEncoder:
    """The host's AUDIO_ENCODER.

    Raises:
        ModelFileError: not the Chinese wav2vec2-large.
    """
    state = comfy.utils.load_torch_file(str(_path(AUDIO, name)), safe_load=True)
    encoder: AudioEncoder = comfy.audio_encoders.audio_encoders.load_audio_encoder_from_sd(state)
    doubt = check_audio_encoder(encoder, name, audio_encoder_vocabulary(name))
    if doubt:
        log.warning("%s", doubt)
    return encoder


def _path(role: str, name: str) -> Path:
    folder, _, wanted = ROLES[role]
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        raise ModelFileError(f"{role} {name} is not in models/{folder}; put {wanted} there and choose it.")
    return Path(path)
