"""ComfyUI-CoInteract: speech-driven human-object-interaction video in ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cointeract_core.host.version import check_host_version

if TYPE_CHECKING:
    from .nodes import CoInteractExtension

WEB_DIRECTORY = "./web"

check_host_version()


async def comfy_entrypoint() -> CoInteractExtension:
    """Register the model class and hand the nodes to the host."""
    from .cointeract_core.host.model.registration import register
    from .cointeract_core.host.page.live import register_routes
    from .nodes import CoInteractExtension

    register()
    register_routes()
    return CoInteractExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
