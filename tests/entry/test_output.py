"""Tables, pairs and lines."""

from __future__ import annotations

import pytest

from bao_backup.entry.output import print_json, print_pairs, print_table, say


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """Two spaces between columns, nothing at a line's end."""
    print_table(("NAME", "SIZE", "WHY"), [("a", "1", ""), ("long", "1000", "because")], right=("SIZE",))
    assert capsys.readouterr().out.splitlines() == [
        "NAME  SIZE  WHY",
        "a        1",
        "long  1000  because",
    ]


def test_a_table_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Its head."""
    print_table(("NAME", "SIZE"), [])
    assert capsys.readouterr().out == "NAME  SIZE\n"


def test_a_cell_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends and control characters come from others, never through us."""
    print_table(("A", "B"), [("one\ntwo", "\x1b[31mred")])
    assert capsys.readouterr().out.splitlines() == ["A        B", "one two  [31mred"]


def test_pairs_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Values stand below one another."""
    print_pairs((("name", "a"), ("empty", ""), ("longer", "b")))
    assert capsys.readouterr().out == "name    a\nlonger  b\n"


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Indented, for people as well."""
    print_json({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'


def test_what_is_said_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the answer's alone."""
    say("working")
    assert capsys.readouterr() == ("", "working\n")
