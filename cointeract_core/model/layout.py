"""Where each token group lies in the main sequence: target | person | product | motion 1x | 2x | 4x.

HOI tokens are kept in a sequence of their own, so that the main sequence is the same tensor with and without them.
Source: PIPE:2236-2308.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..constants import PATCH
from .positions import Axes, hoi_axes, motion_axes, person_axes, product_axes, target_axes


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``start … stop-1``."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """As a slice of the token axis."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class TokenLayout:
    """The main sequence of one forward and, beside it, the HOI tokens."""

    latents: int  # of the target
    rows: int  # of tokens
    columns: int
    groups: tuple[tuple[str, Axes, Span], ...]
    hoi: Axes | None

    def span(self, name: str) -> Span | None:
        """Span of a group, or None where the clip has no such group."""
        return next((span for key, _, span in self.groups if key == name), None)

    @property
    def target(self) -> int:
        """Number of target tokens; they come first."""
        return self.latents * self.rows * self.columns

    @property
    def main(self) -> int:
        """Tokens of the main sequence."""
        return self.groups[-1][2].stop

    @property
    def axes(self) -> list[Axes]:
        """Rotary positions of the main sequence, in order."""
        return [axes for _, axes, _ in self.groups]


def make_layout(
    latents: int,
    latent_rows: int,
    latent_columns: int,
    *,
    person: bool,
    product_scale: float | None,
    motion: bool,
    hoi_latents: int | None = None,
) -> TokenLayout:
    """Lay out one clip.

    Args:
        latents: of the target.
        latent_rows, latent_columns: cells of a latent (even).
        person: whether a person reference is present.
        product_scale: RoPE scale of the product reference, or None without one.
        motion: whether motion frames are present (not in the first clip).
        hoi_latents: of the HOI stream, or None without it.
    """
    rows, columns = latent_rows // PATCH, latent_columns // PATCH
    named = [("target", target_axes(latents, rows, columns))]
    if person:
        named.append(("person", person_axes(rows, columns)))
    if product_scale is not None:
        named.append(("product", product_axes(rows, columns, product_scale)))
    if motion:
        named += zip(("motion_1x", "motion_2x", "motion_4x"), motion_axes(latent_rows, latent_columns), strict=True)
    groups, start = [], 0
    for name, axes in named:
        groups.append((name, axes, Span(start, start + axes.tokens)))
        start += axes.tokens
    hoi = hoi_axes(hoi_latents, rows, columns) if hoi_latents is not None else None
    return TokenLayout(latents, rows, columns, tuple(groups), hoi)
