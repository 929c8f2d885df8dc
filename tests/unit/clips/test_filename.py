"""Names of videos: patterns as ComfyUI's page and its save nodes fill them, and what no file can be called."""

from __future__ import annotations

from datetime import datetime

import pytest

from cointeract_pack.cointeract_core.clips.filename import fill_prefix, format_date
from cointeract_pack.cointeract_core.errors import InputError

NOW = datetime(2026, 3, 7, 5, 4, 9)
VALUES = {("KSampler", "seed"): 42, ("My node", "cfg"): 7.0, ("Note", "text"): 'a/b:c*"d"', ("A.b", "on"): True}
SENTENCE = "which does not name a file inside ComfyUI's output folder; use a name such as CoInteract/ad."


def fill(prefix):
    return fill_prefix(prefix, width=480, height=832, now=NOW, value_of=lambda node, name: VALUES.get((node, name)))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("yyyy-MM-dd", "2026-03-07"),
        ("yy-M-d", "26-3-7"),
        ("yyyyMMdd_hhmmss", "20260307_050409"),
        ("h-m-s", "5-4-9"),
        ("dd.MM", "07.03"),
        ("", ""),
    ],
)
def test_dates_are_written_as_the_page_writes_them(form, expected):
    assert format_date(form, NOW) == expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("CoInteract/ad", "CoInteract/ad"),
        ("CoInteract/%date:yyyy-MM-dd%/ad", "CoInteract/2026-03-07/ad"),
        ("%date:dd.MM%", "07.03"),
        ("%year%%month%%day%-%hour%%minute%%second%", "20260307-050409"),
        ("ad_%width%x%height%", "ad_480x832"),
        ("ad_%KSampler.seed%_%My node.cfg%", "ad_42_7"),
        ("%Note.text%", "a_b_c__d_"),
        ("%A.b.on%", "true"),
        ("CoInteract\\ad", "CoInteract/ad"),
        ("./CoInteract/ad/", "CoInteract/ad"),
        (" ad ", "ad"),
        ("100%", "100%"),
        ("Werbung für Öl/広告", "Werbung für Öl/広告"),
        (".hidden", ".hidden"),
    ],
)
def test_patterns(prefix, expected):
    assert fill(prefix) == expected


@pytest.mark.parametrize(
    "prefix", ["", " ", "/", "/ad", "//", "a//b", "../ad", "a/../b", "..", "C:/ad", "c:\\ad", "\\\\a"]
)
def test_what_leads_out_of_the_folder(prefix):
    with pytest.raises(InputError) as refusal:
        fill(prefix)
    assert str(refusal.value) == f"filename_prefix is “{prefix}”, {SENTENCE}"


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("a:b", "holds ':', but file names cannot hold it on every system"),
        ("%date:hh:mm%", "holds ':'"),
        ('say "hi"', "holds '\"'"),
        ("a?", "holds '?'"),
        ("a\nb", r"holds '\n'"),
        ("a\x00", r"holds '\x00'"),
        ("\ud800", r"holds '\ud800'"),
        ("con/ad", "holds the name con, but Windows keeps it for devices"),
        ("a/NUL.x", "holds the name NUL.x"),
        ("LPT1", "holds the name LPT1"),
        ("a./b", "holds the folder “a.”"),
        ("a" * 255, "holds a name of 255 bytes, but at most 150 are expected"),
        ("é" * 100, "holds a name of 200 bytes"),
        ("a/" * 2000 + "b", "has 2001 parts and 4001 bytes"),
        ("%Nobody.seed%", "holds %Nobody.seed%, but the workflow has no node Nobody with a value seed; use %date:yyyy"),
        ("%date%", "holds %date%, but that is no pattern; use %date:yyyy-MM-dd%, %year%"),
        ("%seed%", "holds %seed%, but that is no pattern"),
    ],
)
def test_what_no_file_can_be_called(prefix, said):
    with pytest.raises(InputError) as refusal:
        fill(prefix)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("filename_prefix is “")
    assert len(str(refusal.value)) < 600


def test_names_that_only_look_reserved():
    assert fill("console/Conny/com10/nulls") == "console/Conny/com10/nulls"
