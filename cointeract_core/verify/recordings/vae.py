"""The host's causal VAE at a file's size: whole, single frame and in tiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...constants import SPATIAL_STRIDE, TEMPORAL_STRIDE
from ...host.model.standalone import in_tiles
from ...shapes import video_frames, video_latents
from .golden import FLOAT_TOLERANCE, Check, Golden, compare, found_in, holds
from .tiny import build_vae_module

TILES = re.compile(r"tile (\d+)x(\d+) latent, stride (\d+)x(\d+)")  # in the file's notes: rows x columns
# Decoding has more float32 noise than the usual tolerance allows for: on the published file the reference lies 4.7e-6
# from a float64 run and the host 2.8e-6, so two such programs may differ by 7.5e-6; twice that leaves room for others.
DECODED = 1.5e-5
WHOLE = 9999  # tiles are cut in space only
Cells = tuple[int, int]  # latent cells, or pixels, from top to bottom and from left to right


def check_vae(golden: Golden) -> Iterator[Check]:
    """Every ``out.*`` of a ``vae_`` file.

    Where four tiles meet, the host multiplies the fades of both axes and the reference takes the smaller one, so those
    corners are left out; everywhere else the two blend alike.
    """
    vae = _Vae(golden)
    decoded = vae.decode(golden["out.latent"])
    ours = {
        "latent": vae.encode(golden["in.video"]),
        "latent_single_frame": vae.encode(golden["in.video"][:, :, :1]),
        "latent_untiled": vae.encode(golden["in.video_tiled"]),
        "decoded_unclamped": decoded,
        "decoded": decoded.clamp(-1.0, 1.0),
        "decoded2": vae.decode(golden["in.latent2"]).clamp(-1.0, 1.0),
    }
    for name, tensor in ours.items():
        yield compare(name, tensor, golden[f"out.{name}"], _tolerance(name))
    yield from _check_tiles(golden, vae)
    left = {*golden.group("out.")} - {*ours, "latent_tiled", "decoded_tiled"}
    yield holds(f"outputs nothing compares: {', '.join(sorted(left)) or 'none'}", not left)


def _check_tiles(golden: Golden, vae: _Vae) -> Iterator[Check]:
    tile, overlap = _tiles(golden)
    encoded = vae.encode_tiled(golden["in.video_tiled"], tile, overlap)
    decoded = vae.decode_tiled(golden["out.latent_tiled"], tile, overlap)
    for name, tensor, cell in (("latent_tiled", encoded, 1), ("decoded_tiled", decoded, SPATIAL_STRIDE)):
        theirs = golden[f"out.{name}"]
        corner = _corner(theirs.shape[-2] // cell, tile[0], overlap[0], cell)[:, None]
        corner = corner & _corner(theirs.shape[-1] // cell, tile[1], overlap[1], cell)
        ours, theirs = (values.masked_fill(corner, 0.0) for values in (tensor, theirs))
        yield compare(f"{name} but {int(corner.sum())} cells", ours, theirs, _tolerance(name))


def _tiles(golden: Golden) -> tuple[Cells, Cells]:
    """Size of a tile, and how far two of them overlap."""
    found = found_in(TILES, " ".join(golden.info["notes"]))
    rows, columns, step_rows, step_columns = (int(number) for number in found.groups())
    return (rows, columns), (rows - step_rows, columns - step_columns)


def _tolerance(name: str) -> float:
    return DECODED if name.startswith("decoded") else FLOAT_TOLERANCE


def _corner(size: int, tile: int, overlap: int, cell: int) -> Tensor:
    """Where two tiles of an axis overlap, `[size * cell]` bool."""
    covered = torch.zeros(size * cell)
    for start in range(0, size - overlap, tile - overlap):
        covered[start * cell : (start + tile) * cell] += 1
    return covered > 1


class _Vae:
    """The host's module with the latents' normalisation, and the host's tiling around it."""

    def __init__(self, golden: Golden) -> None:
        self._module = build_vae_module(golden)
        shape = (1, -1, 1, 1, 1)
        self._mean, self._std = (torch.tensor(golden.info[name]).view(shape) for name in ("mean", "std"))

    def encode(self, video: Tensor) -> Tensor:
        """`[1, 3, T, H, W]` in -1…1 to latents."""
        with torch.inference_mode():
            return (self._module.encode(video) - self._mean) / self._std

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to `[1, 3, T, H, W]`, not clamped."""
        with torch.inference_mode():
            return self._module.decode(latents * self._std + self._mean)

    def encode_tiled(self, video: Tensor, tile: Cells, overlap: Cells) -> Tensor:
        """Encode in tiles, given in latent cells."""
        channels, rate = self._mean.shape[1], 1 / TEMPORAL_STRIDE
        return _in_tiles(video, self.encode, _pixels(tile), _pixels(overlap), video_latents, rate, channels, True)

    def decode_tiled(self, latents: Tensor, tile: Cells, overlap: Cells) -> Tensor:
        """Decode in tiles, given in latent cells; clamped."""
        return _in_tiles(latents, self.decode, tile, overlap, video_frames, TEMPORAL_STRIDE, 3, False).clamp(-1.0, 1.0)


def _pixels(cells: Cells) -> Cells:
    rows, columns = cells
    return rows * SPATIAL_STRIDE, columns * SPATIAL_STRIDE


def _in_tiles(
    tensor: Tensor,
    function: Callable[[Tensor], Tensor],
    tile: Cells,
    overlap: Cells,
    length: Callable[[int], int],
    rate: float,
    channels: int,
    downscale: bool,
) -> Tensor:
    return in_tiles(
        tensor,
        function,
        tile=(WHOLE, *tile),
        overlap=(1, *overlap),
        upscale_amount=(length, SPATIAL_STRIDE, SPATIAL_STRIDE),
        index_formulas=(lambda position: position * rate, SPATIAL_STRIDE, SPATIAL_STRIDE),
        out_channels=channels,
        downscale=downscale,
    )
