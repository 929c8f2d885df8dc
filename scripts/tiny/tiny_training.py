"""The training command with tiny models: for the tests, also under `accelerate launch`.

python scripts/tiny/tiny_training.py COMFYUI config.toml [the command's own options]
"""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(tree: str, arguments: list[str]) -> None:
    """Let the host read a tiny text encoder, then run the pack's command."""
    sys.path.insert(0, tree)
    from comfy.cli_args import args

    args.cpu = True  # before the host looks for a GPU
    sys.path.append(str(ROOT / "scripts"))
    from tiny import tiny_host_config  # noqa: F401  sizes of the text encoder

    pack = types.ModuleType("cointeract_pack")  # the checkout, whatever its folder is called
    pack.__path__ = [str(ROOT)]
    sys.modules["cointeract_pack"] = pack
    sys.argv = ["cointeract_core.training", *arguments, "--comfyui", tree, "--cpu"]
    runpy.run_module("cointeract_pack.cointeract_core.training", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
