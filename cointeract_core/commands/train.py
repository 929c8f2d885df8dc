"""Train from the shell with ``python -m cointeract_core.training config.toml``, or by ``accelerate launch``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
CUSTOM_NODES = "custom_nodes"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cointeract_core.training", description="Train a LoRA.")
    parser.add_argument("config", type=Path, help="settings as TOML; its table lies relative to it")
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="ComfyUI's folder, where the pack lies elsewhere")
    parser.add_argument("--base-directory", type=Path, metavar="DIR", help="as ComfyUI's own option of that name")
    parser.add_argument("--cpu", action="store_true", help="train on the CPU")
    parser.add_argument("--check", action="store_true", help="only check the settings, the rows and the files")
    return parser.parse_args(arguments)


def _find_comfyui(named: Path | None) -> Path | None:
    """The folder named, the one whose custom_nodes this pack lies in, or one that is on the path already."""
    inside = [PACK.parent.parent] if PACK.parent.name == CUSTOM_NODES else []
    known = [named] if named else [*inside, *(Path(entry) for entry in sys.path if entry)]
    return next((folder.resolve() for folder in known if (folder / "comfy" / "model_base.py").is_file()), None)


def main(arguments: list[str]) -> int:
    """Run the command; the exit status is 0 where it has done what was asked."""
    options = _parse(arguments)
    tree = _find_comfyui(options.comfyui)
    if tree is None:
        sys.stderr.write("No ComfyUI was found: name its folder with --comfyui.\n")
        return 2
    # the host has a module called nodes, as this checkout has
    sys.path[:] = [str(tree), *(entry for entry in sys.path if Path(entry or ".").resolve() not in (PACK, tree))]
    from ..host.train.command import run_command

    return run_command(options.config, tree, options.base_directory, cpu=options.cpu, check_only=options.check)
