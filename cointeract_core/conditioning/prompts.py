"""Prompts: one per clip."""

from __future__ import annotations

import unicodedata

from ..errors import InputError

# dashes, and how many hyphens each stands for: word processors turn --- into some of these
DASHES = {
    **dict.fromkeys("-\u2010\u2011\u2012\u2212\ufe63\uff0d\u30fc", 1),  # hyphens, minus signs, wide ones
    **dict.fromkeys("\u2013\ufe58", 2),  # en dash, small dash
    **dict.fromkeys("\u2014\u2015\u2500\u2501\u2e3a\u2e3b\ufe31", 3),  # em dashes, bars, ruled lines
}
RULES = "*_=~\uff0a\uff3f\uff1d"  # three of one of these are a rule in Markdown, and in its wide form
DIVIDER, DOUBTFUL = 3, 2


def split_prompts(text: str) -> list[str]:
    """Prompts of a text in which a line with only ``---`` starts the next one.

    Dashes that word processors make of it, and rules of Markdown, do so too.

    Raises:
        InputError: no words at all, or none between two such lines; or a line that may or may not be one.
    """
    parts: list[list[str]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        weight = _divider_weight(line)
        if weight >= DIVIDER:
            parts.append([])
        elif weight == DOUBTFUL:
            raise InputError(
                f"Line {number} of prompts is “{line.strip()}”, but a line with at least three hyphens starts the next "
                "prompt; write --- there, or take the line out."
            )
        else:
            parts[-1].append(line)
    prompts = ["\n".join(part).strip() for part in parts]
    if not any(prompts):
        raise InputError("prompts is empty, but at least one prompt is expected; describe what is seen in the video.")
    if not all(prompts):
        raise InputError(
            f"prompts has no words for prompt {prompts.index('') + 1} of {len(prompts)}, but each needs some; "
            "write it or remove a --- line."
        )
    return prompts


def _divider_weight(line: str) -> int:
    """How many hyphens a line of nothing but dashes, or of one other sign, is worth; 0 for a line with words."""
    signs = [sign for sign in line if not sign.isspace() and unicodedata.category(sign) != "Cf"]  # Cf is not seen
    if all(sign in DASHES for sign in signs):
        return sum(DASHES[sign] for sign in signs)
    return len(signs) if len(set(signs)) == 1 and signs[0] in RULES else 0


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
