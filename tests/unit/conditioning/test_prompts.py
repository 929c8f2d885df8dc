"""One prompt per clip."""

from __future__ import annotations

import pytest

from cointeract_pack.cointeract_core.conditioning.prompts import prompts_for, split_prompts
from cointeract_pack.cointeract_core.errors import InputError


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("She speaks.", ["She speaks."]),
        ("She speaks,\nand smiles.\n\nIt rains.", ["She speaks,\nand smiles.\n\nIt rains."]),
        ("one\n---\ntwo\n-----\nthree", ["one", "two", "three"]),
        ("one\r\n --- \r\ntwo\r\n", ["one", "two"]),
        ("a well---known bottle\n- first\n-- second", ["a well---known bottle\n- first\n-- second"]),
    ],
)
def test_a_line_of_hyphens_starts_the_next_prompt(text, prompts):
    assert split_prompts(text) == prompts


DIVIDERS = ["———", "–––", "***", "⸻", "－－－", "—", "—-", "–-", "- - -", "* * *"]  # noqa: RUF001  on purpose
DIVIDERS += ["___", "===", "───", "―――", "−−−"]  # noqa: RUF001


@pytest.mark.parametrize("line", [*DIVIDERS, "\u200b---\ufeff", "\u00a0———\u3000"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_what_a_word_processor_makes_of_the_hyphens_is_a_divider_too(line, end):
    assert split_prompts(f"one{end}{line}{end}two") == ["one", "two"]


@pytest.mark.parametrize("line", ["— she speaks —", "*smiles*", "…", "-", "•", "*-*", "2 - 3", "=)"])
def test_signs_among_words_stay_words(line):
    assert split_prompts(f"one\n{line}\ntwo") == [f"one\n{line}\ntwo"]


@pytest.mark.parametrize("line", ["--", "–", "**"])  # noqa: RUF001
def test_a_line_that_may_be_a_divider_is_told(line):
    with pytest.raises(InputError) as refusal:
        split_prompts(f"one\n{line}\ntwo")
    assert str(refusal.value) == (
        f"Line 2 of prompts is “{line}”, but a line with at least three hyphens starts the next prompt; write --- "
        "there, or take the line out."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "prompts is empty, but at least one prompt is expected; describe what is seen in the video."),
        (" \n\t", "prompts is empty, but at least one prompt is expected; describe what is seen in the video."),
        ("---", "prompts is empty, but at least one prompt is expected; describe what is seen in the video."),
        (
            "one\n---\n\n---\nthree",
            "prompts has no words for prompt 2 of 3, but each needs some; write it or remove a --- line.",
        ),
        ("one\n---", "prompts has no words for prompt 2 of 2, but each needs some; write it or remove a --- line."),
    ],
)
def test_prompts_without_words_are_refused(text, sentence):
    with pytest.raises(InputError) as refusal:
        split_prompts(text)
    assert str(refusal.value) == sentence


def test_the_last_prompt_is_used_again():
    assert prompts_for(2, 4) == ([0, 1, 1, 1], None)
    assert prompts_for(1, 1) == ([0], None)


@pytest.mark.parametrize(
    ("prompts", "clips", "warning"),
    [
        (2, 1, "There are 2 prompts but only 1 clip: the last 1 prompt is not used."),
        (5, 3, "There are 5 prompts but only 3 clips: the last 2 prompts are not used."),
    ],
)
def test_prompts_left_over_are_said(prompts, clips, warning):
    assert prompts_for(prompts, clips) == (list(range(clips)), warning)


def test_no_prompt_is_refused():
    with pytest.raises(InputError, match="prompts is empty"):
        prompts_for(0, 3)
