"""Models that tests of nodes wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def wired_models(host: Path, golden_dir: Path) -> dict[str, Any]:
    """By the name of an input: a real VAE of the Wan 2.1 family and a real model, both tiny."""
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE

    from cointeract_pack.cointeract_core.verify.recordings.golden import read_golden
    from cointeract_pack.cointeract_core.verify.recordings.tiny import build_patcher

    inner = WanVAE(dim=4, z_dim=16, temperal_downsample=[False, True, True])
    model = build_patcher(read_golden(golden_dir / "dit" / "dit_moe.safetensors"))
    return {"vae": comfy.sd.VAE(sd=inner.state_dict()), "model": model}
