"""The table's text: encodings, columns, cells."""

from __future__ import annotations

import pytest

from cointeract_pack.cointeract_core.checkpoint.keys import OFFICIAL_HOI_COLUMN
from cointeract_pack.cointeract_core.errors import InputError
from cointeract_pack.cointeract_core.shapes import VideoSize
from cointeract_pack.cointeract_core.training.table.rows import parse_row, read_table

NEEDED = "prompt,input_video,audio,person_image"


def table(tmp_path, text: str | bytes):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_are_numbered_as_in_a_spreadsheet(tmp_path):
    read = read_table(table(tmp_path, f'{NEEDED}\n"two\nlines",b,c,d\n\n,,,\nlast,b,c,d,,\n'))
    assert [(number, cells["prompt"]) for number, cells in read.rows] == [(2, "two\nlines"), (5, "last")]
    assert read.folder == tmp_path.resolve()
    assert read.notes == read.problems == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_excels_mark_at_the_start_is_no_part_of_a_name(tmp_path, encoding):
    read = read_table(table(tmp_path, f"{NEEDED}\r\n衣服,b,c,d\r\n".encode(encoding)))
    assert read.rows[0][1]["prompt"] == "衣服"


def test_a_long_cell_is_read(tmp_path):
    boxes = "x" * 200_000
    assert read_table(table(tmp_path, f"{NEEDED},face\na,b,c,d,{boxes}\n")).rows[0][1]["face"] == boxes


def test_unknown_columns_and_the_authors_name_are_said(tmp_path):
    read = read_table(table(tmp_path, f"{NEEDED},mood,{OFFICIAL_HOI_COLUMN},,take\na,b,c,d,glad,h.mp4,,2\n"))
    assert read.notes == (
        "The table's columns mood, take are not known and not used.",
        f"The table's column {OFFICIAL_HOI_COLUMN} is read as hoi_video.",
    )


@pytest.mark.parametrize("column", ["hoi_video", OFFICIAL_HOI_COLUMN])
def test_both_names_of_the_hoi_column(tmp_path, column):
    (tmp_path / "h.mp4").touch()
    draft = parse_row(2, {column: "h.mp4"}, tmp_path)
    assert draft.files == {"hoi_video": tmp_path / "h.mp4"}


def test_a_good_row(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("clip.mp4", "speech.wav", "sub/person.png"):
        (tmp_path / name).touch()
    cells = {
        "prompt": " hello ", "input_video": "clip.mp4", "audio": "speech.wav", "person_image": "sub\\person.png",
        "product_image": "", "motion_video": " ", "face": "{}", "hand_object": "", "height": "1920", "width": "1080.0",
        "scale": "0.5",
    }  # fmt: skip
    draft = parse_row(7, cells, tmp_path)
    assert draft.problems == ()
    row = draft.row()
    assert (row.number, row.prompt, row.person_image) == (7, "hello", tmp_path / "sub" / "person.png")
    assert row.product_image is row.motion_video is row.hoi_video is row.pose_video is row.hand is None
    assert (row.face, row.source, row.product_scale) == ({}, VideoSize(1080, 1920), 0.5)
    assert parse_row(7, {**cells, "height": "", "width": "", "scale": ""}, tmp_path).row().product_scale == 1.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The table data.csv is empty, but a line of column names is expected; add it."),
        (" ,\na,b\n", "The table data.csv is empty, but a line of column names is expected; add it."),
        (NEEDED, "The table data.csv has no rows, but at least one is expected; add one per clip."),
        (f"{NEEDED}\n\n,,,\n", "The table data.csv has no rows, but at least one is expected; add one per clip."),
        (
            "prompt,audio\na,b\n",
            "The table data.csv has no column input_video, person_image, but prompt, input_video, audio, person_image "
            "are needed; add it to the first line.",
        ),
        (
            f"{NEEDED},face,face\n",
            "The table data.csv has the column face twice, but once is expected; remove one.",
        ),
        (
            f"{NEEDED},hoi_video,{OFFICIAL_HOI_COLUMN}\n",
            f"The table data.csv has the column hoi_video (also as {OFFICIAL_HOI_COLUMN}) twice, but once is expected; "
            "remove one.",
        ),
        (
            NEEDED.replace(",", ";"),
            "The table data.csv has semicolons between its columns, but commas are expected; save it with commas.",
        ),
        (
            NEEDED.replace(",", "\t"),
            "The table data.csv has tabs between its columns, but commas are expected; save it with commas.",
        ),
        (
            NEEDED.encode() + b"\n\xe9t\xe9,b,c,d\n",
            "The table data.csv is not in UTF-8 (byte 39), but UTF-8 is expected; save it as “CSV UTF-8”.",
        ),
        (
            NEEDED.encode("utf-16"),
            "The table data.csv is not in UTF-8 (byte 1), but UTF-8 is expected; save it as “CSV UTF-8”.",
        ),
        (
            f'{NEEDED}\n"a"b,b,c,d\n',
            "The table data.csv is no CSV (“b” follows a closing quote in line 2), but one is expected; write a double "
            "quote inside of quotes twice.",
        ),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, sentence):
    with pytest.raises(InputError) as refusal:
        read_table(table(tmp_path, text))
    assert str(refusal.value) == sentence


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError) as refusal:
        read_table(tmp_path / "none.csv")
    assert str(refusal.value) == (
        "The table none.csv cannot be read (No such file or directory), but a .csv file is expected; check its path."
    )


def test_a_comma_without_quotes_is_noticed(tmp_path):
    read = read_table(table(tmp_path, f"{NEEDED}\nhello, you,b,c,d\na,b,c,d\n"))
    assert [number for number, _ in read.rows] == [3]
    assert [problem.sentence() for problem in read.problems] == [
        "row 2, all columns: it has 5 cells, but the table has 4 columns; put double quotes around cells with commas "
        "in them."
    ]
