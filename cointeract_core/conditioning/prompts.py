"""Prompts: one per clip."""

from __future__ import annotations

import re

from ..errors import InputError

SEPARATOR = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)  # a line of three or more hyphens and nothing else


def split_prompts(text: str) -> list[str]:
    """Prompts of a text in which a line with only ``---`` starts the next one.

    Raises:
        InputError: no words at all, or none between two such lines.
    """
    prompts = [prompt.strip() for prompt in SEPARATOR.split(text.replace("\r\n", "\n"))]
    if not any(prompts):
        raise InputError("prompts is empty, but at least one prompt is expected; describe what is seen in the video.")
    if not all(prompts):
        raise InputError(
            f"prompts has no words for prompt {prompts.index('') + 1} of {len(prompts)}, but each needs some; "
            "write it or remove a --- line."
        )
    return prompts


def prompts_for(prompts: int, clips: int) -> tuple[list[int], str | None]:
    """The number of the prompt of each clip (the last one is used again), and a warning where prompts are left over.

    Raises:
        InputError: no prompt.
    """
    if prompts < 1:
        raise InputError("prompts is empty, but at least one prompt is expected; describe what is seen in the video.")
    warning = None
    if prompts > clips:
        unused = prompts - clips
        warning = (
            f"There are {prompts} prompts but only {_count(clips, 'clip')}: the last {_count(unused, 'prompt')} "
            f"{'is' if unused == 1 else 'are'} not used."
        )
    return [min(clip, prompts - 1) for clip in range(clips)], warning


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
