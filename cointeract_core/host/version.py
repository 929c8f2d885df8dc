"""Check, before anything else is imported, that the host is new enough."""

from __future__ import annotations

import logging
from functools import lru_cache

# the oldest and the newest ComfyUI on which all tests were run
OLDEST_HOST = (0, 3, 75)
NEWEST_HOST = (0, 33, 0)
log = logging.getLogger("cointeract")


def check_host_version() -> None:
    """Refuse hosts that lack what this pack stands on.

    Raises:
        ImportError: one sentence for the host's log and its list of failed packs.
    """
    try:
        version = running_host()
    except ImportError as error:
        raise ImportError("CoInteract is a ComfyUI extension; put its folder into ComfyUI's custom_nodes.") from error
    numbers = _numbers(version)
    if numbers and numbers < OLDEST_HOST:
        raise ImportError(
            f"CoInteract needs ComfyUI {_spoken(OLDEST_HOST)} or newer, but this is {version}; update ComfyUI."
        )


def running_host() -> str:
    """The version of the ComfyUI at hand, as it says it.

    Raises:
        ImportError: there is none.
    """
    from comfyui_version import __version__ as version

    return str(version)


@lru_cache(maxsize=1)
def warn_of_new_host() -> None:
    """Say once in the log that this ComfyUI is newer than any that was tried; called where a model is first used."""
    version = running_host()
    if _numbers(version) > NEWEST_HOST:
        log.warning(
            "ComfyUI %s is newer than %s, the newest that CoInteract was run on. If a video comes out wrong, run "
            "`python -m cointeract_core.verify` in CoInteract's folder with ComfyUI's Python: it says what differs.",
            version,
            _spoken(NEWEST_HOST),
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _spoken(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
