"""What the verification says: a line for each golden file, or a sentence on the ComfyUI at hand."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

from safetensors import SafetensorError

from ..host.model.standalone import settle_device
from .recordings.golden import Golden, Handler, read_golden, worst
from .self_check import check_comfyui, describe

# part of a file's name -> module and function that checks such a file; the longest one wins
FORMS: dict[str, tuple[str, str]] = {
    "audio_buckets": ("audio", "check_audio"),
    "dit_": ("dit", "check_dit"),
    "dit_cogen": ("dit", "check_cogen"),
    "dit_product_scale": ("dit", "check_product_scale"),
    "keys_": ("keys", "check_keys"),
    "lora": ("lora", "check_lora"),
    "pipeline_clips": ("clips", "check_clips"),
    "preprocess": ("preprocess", "check_preprocess"),
    "rope_positions": ("dit", "check_positions"),
    "router_masks": ("token_masks", "check_masks"),
    "schedule": ("schedule", "check_schedule"),
    "training_step": ("training", "check_training"),
    "vae_": ("vae", "check_vae"),
}
# what a damaged or foreign file may raise; it fails, and the next one is looked at
UNREADABLE = (AttributeError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)
NOTHING_TO_COMPARE = {"facts": "measurements of the reference itself"}


def handler_for(path: Path) -> Handler | None:
    """The function that checks `path`, by the longest known form at the start of its name, or else within it."""
    found = [form for form in FORMS if path.stem.startswith(form)] or [form for form in FORMS if form in path.stem]
    if not found:
        return None
    module, function = FORMS[max(found, key=len)]
    handler: Handler = getattr(importlib.import_module(f".recordings.{module}", __package__), function)
    return handler


def verify_file(path: Path) -> tuple[bool, str]:
    """Check one file; whether it holds, and the line to show."""
    if path.stem in NOTHING_TO_COMPARE:
        return True, f"{path.name:38} nothing to compare: {NOTHING_TO_COMPARE[path.stem]}"
    handler = handler_for(path)
    if handler is None:
        return False, f"{path.name:38} FAIL  not a form this program knows"
    golden: Golden = read_golden(path)
    checks = list(handler(golden))
    low = worst(checks)
    if low is None:
        return False, f"{path.name:38} FAIL  the file holds nothing to compare"
    verdict = "ok  " if low.ok else "FAIL"
    measured = f"worst {low.error:.2e} of {low.tolerance:.0e} allowed, {len(checks)} checks ({low.name})"
    return low.ok, f"{path.name:38} {verdict}  {measured}"


def report(directory: Path | None) -> int:
    """Check every golden file of a directory, or try the ComfyUI at hand; the exit status is 0 where all holds."""
    logging.getLogger().setLevel(logging.ERROR)
    settle_device()
    if directory is None:
        findings = check_comfyui()
        sys.stdout.write(describe(findings) + "\n")
        return int(not all(finding.ok for finding in findings))
    paths = sorted(path for path in directory.rglob("*") if path.suffix in (".safetensors", ".json"))
    if not paths:
        sys.stderr.write(f"{directory} holds no .safetensors or .json file; name a directory of golden files.\n")
        return 2
    failed = 0
    for path in paths:
        try:
            ok, line = verify_file(path)
        except UNREADABLE as error:
            ok, line = False, f"{path.name:38} FAIL  {type(error).__name__}: {error}"
        failed += not ok
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(paths) - failed} of {len(paths)} files hold\n")
    return 1 if failed else 0
