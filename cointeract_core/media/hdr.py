"""High dynamic range and wide colours to BT.709 SDR, as ITU-R BT.2408 relates them.

HLG is shown as on a display of 1000 cd/m²; what shines with 203 cd/m² (HDR reference white) is white in SDR, and what
is brighter is rolled off softly instead of cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HLG, PQ = 18, 16  # FFmpeg's numbers of transfers
BT2020, P3_THEATRE, P3 = 9, 11, 12  # and of primaries
WHITE_NITS, PEAK_NITS = 203.0, 1000.0  # BT.2408: reference white; BT.2100: the display HLG is defined on
PQ_NITS = 10000.0  # SMPTE ST 2084
SDR_GAMMA = 2.4  # BT.1886, the display BT.709 is made for
KNEE = 0.9  # of SDR white: below it nothing is changed
STEPS = 1 << 16  # of a 16-bit sample
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
# chromaticities of red, green, blue and white (BT.2020, SMPTE EG 432, BT.709)
D65 = (0.3127, 0.3290)
CHROMATICITIES = {
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    P3_THEATRE: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),
}


class SdrConverter:
    """Pictures of one transfer and one set of primaries to BT.709 SDR; holds the tables for it.

    Args:
        transfer, primaries: FFmpeg's numbers.
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        self._transfer = transfer
        self._light, self._codes, self._matrix = _light_table(transfer), _code_table(), _to_709(primaries)

    def convert(self, picture: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """A picture `[H, W, 3]` uint16, RGB in full range, to `[H, W, 3]` uint8."""
        light: NDArray[np.float32] = self._light[picture]
        if self._transfer == HLG:  # the display's part of the transfer: BT.2100, gamma 1.2 at 1000 cd/m²
            light *= np.maximum(light @ LUMA_2020, 1e-6)[..., None] ** np.float32(0.2)
        high = self._transfer in (HLG, PQ)
        if high:
            light *= np.float32((PEAK_NITS if self._transfer == HLG else PQ_NITS) / WHITE_NITS)
        light = np.maximum(light @ self._matrix, 0.0)
        if high:
            light *= _rolled_off(light.max(axis=-1, keepdims=True))
        codes: NDArray[np.uint8] = self._codes[np.minimum(light * (STEPS - 1), STEPS - 1).astype(np.uint16)]
        return codes


def _rolled_off(brightest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factor that brings the brightest colour of each pixel below white, reached at the display's peak."""
    over = np.maximum(brightest - KNEE, 0.0) / (1 - KNEE)
    most = (PEAK_NITS / WHITE_NITS - KNEE) / (1 - KNEE)
    soft = KNEE + (1 - KNEE) * np.minimum(over * (1 + over / most**2) / (1 + over), 1.0)
    return np.where(over > 0, soft / np.maximum(brightest, 1e-6), 1.0).astype(np.float32)


def _light_table(transfer: int) -> NDArray[np.float32]:
    """Linear light of each 16-bit code."""
    code = np.arange(STEPS, dtype=np.float64) / (STEPS - 1)
    if transfer == HLG:  # ITU-R BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    elif transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    else:
        light = code**SDR_GAMMA
    return light.astype(np.float32)


def _code_table() -> NDArray[np.uint8]:
    """8-bit SDR code of each 16-bit step of linear light."""
    light = np.arange(STEPS, dtype=np.float64) / (STEPS - 1)
    return np.rint(light ** (1 / SDR_GAMMA) * 255).astype(np.uint8)


def _to_709(primaries: int) -> NDArray[np.float32]:
    """Matrix from linear RGB of these primaries to BT.709's, for rows of pixels."""
    matrix = np.linalg.inv(_to_xyz(1)) @ _to_xyz(primaries if primaries in CHROMATICITIES else 1)
    for_rows: NDArray[np.float32] = matrix.T.astype(np.float32)
    return for_rows


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    *corners, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in CHROMATICITIES[primaries])
    columns = np.stack(corners, axis=1)
    return columns * np.linalg.solve(columns, white)
