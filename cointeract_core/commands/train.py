"""Train from the shell with ``python -m cointeract_core.training config.toml``, or by ``accelerate launch``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .find_comfyui import put_on_path


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cointeract_core.training", description="Train a LoRA.")
    parser.add_argument("config", type=Path, help="settings as TOML; its table lies relative to it")
    parser.add_argument("--comfyui", type=Path, metavar="DIR", help="ComfyUI's folder, where the pack lies elsewhere")
    parser.add_argument("--base-directory", type=Path, metavar="DIR", help="as ComfyUI's own option of that name")
    parser.add_argument("--cpu", action="store_true", help="train on the CPU")
    parser.add_argument("--check", action="store_true", help="only check the settings, the rows and the files")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command; the exit status is 0 where it has done what was asked."""
    options = _parse(arguments)
    tree = put_on_path(options.comfyui)
    if tree is None:
        return 2
    from ..host.train.command import run_command

    return run_command(options.config, tree, options.base_directory, cpu=options.cpu, check_only=options.check)
