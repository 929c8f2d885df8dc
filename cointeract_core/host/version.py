"""Check, before anything else is imported, that the host is new enough."""

from __future__ import annotations

OLDEST_HOST = (0, 3, 75)  # the oldest this pack was run on


def check_host_version() -> None:
    """Refuse hosts that lack what this pack stands on.

    Raises:
        ImportError: one sentence for the host's log and its list of failed packs.
    """
    try:
        from comfyui_version import __version__ as version
    except ImportError as error:
        raise ImportError("CoInteract is a ComfyUI extension; put its folder into ComfyUI's custom_nodes.") from error
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers and numbers < OLDEST_HOST:
        oldest = ".".join(map(str, OLDEST_HOST))
        raise ImportError(f"CoInteract needs ComfyUI {oldest} or newer, but this is {version}; update ComfyUI.")
