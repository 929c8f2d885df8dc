"""The authors' transformer out of a checkout of theirs, as it is, without the rest of their program.

Only the modules of the transformer are imported. Their forward lies in the file of the whole pipeline, which needs many
libraries to import; that one function is taken out of the file and run in the transformer's own names.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

PACKAGE = "authors_models"
MODELS, PIPELINE = Path("diffsynth/models"), Path("diffsynth/pipelines/wan_video_new.py")
NEEDED = (MODELS / "wan_video_dit_s2v.py", MODELS / "wan_video_dit.py", MODELS / "moe_ffn.py", PIPELINE)
FORWARD = "model_fn_wans2v"
OTHER_ATTENTION = ("FLASH_ATTN_3_AVAILABLE", "FLASH_ATTN_2_AVAILABLE", "SAGE_ATTN_AVAILABLE")


class CheckoutError(RuntimeError):
    """No checkout of the authors' program, or one that cannot be used; the text is one sentence."""


class _NoMemory(TorchFunctionMode):
    """Layers are made without memory for their weights; tables and other constants are made as they are."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
        return func(*args, **kwargs)


class Reference:
    """The authors' classes and functions.

    Args:
        checkout: folder of their repository.

    Raises:
        CheckoutError: files or libraries that are missing.
    """

    def __init__(self, checkout: Path) -> None:
        absent = [str(path) for path in NEEDED if not (checkout / path).is_file()]
        if absent:
            raise CheckoutError(
                f"{checkout} lacks {absent[0]}, but a checkout of luoxyhappy/CoInteract was expected; clone it "
                "and name its folder."
            )
        package = types.ModuleType(PACKAGE)
        package.__path__ = [str(checkout / MODELS)]
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules[PACKAGE] = package
        try:
            self.basic = importlib.import_module(f"{PACKAGE}.wan_video_dit")
            self._s2v = importlib.import_module(f"{PACKAGE}.wan_video_dit_s2v")
        except ModuleNotFoundError as error:
            raise CheckoutError(
                f"The authors' transformer imports {error.name}, which is not installed; install it with pip."
            ) from error
        for switch in OTHER_ATTENTION:  # every implementation is measured with PyTorch's attention
            setattr(self.basic, switch, False)
        self._forward = self._function(checkout / PIPELINE)

    def build(self, settings: dict[str, Any], weights: dict[str, Tensor], expert_hidden: int) -> torch.nn.Module:
        """Their model around given tensors, which are used and not copied.

        Args:
            settings: arguments of their constructor.
            weights: under their names.
            expert_hidden: width of the experts, 0 without.
        """
        with contextlib.redirect_stdout(io.StringIO()), _NoMemory():
            model = self._s2v.WanS2VModel(**settings)
            if expert_hidden:
                model.enable_moe_ffn(expert_hidden_dim=expert_hidden)
        model.load_state_dict(weights, strict=True, assign=True)
        return model.eval()

    def predict(
        self, model: torch.nn.Module, latents: Tensor, timestep: Tensor, conditions: dict[str, Tensor]
    ) -> Tensor:
        """Their prediction for the target, `[1, 16, F, H, W]`, as their program calls it in every step."""
        with contextlib.redirect_stdout(io.StringIO()):
            out = self._forward(
                model,
                torch.cat([conditions["person"], latents], dim=2),
                timestep,
                conditions["context"],
                conditions["audio"],
                conditions["motion"],
                conditions.get("pose"),
                product_image_latents=conditions.get("product"),
                drop_motion_frames=False,
            )
        return out[:, :, 1:]

    def _function(self, path: Path) -> Callable[..., Tensor]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == FORWARD]
        if not found:
            raise CheckoutError(
                f"{path} has no function {FORWARD}, but a CoInteract checkout was expected; check out a version that "
                "has it."
            )
        names = {**vars(self.basic), **vars(self._s2v)}
        exec(compile(ast.Module(found, []), str(path), "exec"), names)  # the user's own checkout
        return names[FORWARD]
