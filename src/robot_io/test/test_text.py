"""Foreign text in logs."""

import pytest

from polytask_robot_io.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("open the drawer", "open the drawer"),
        ("öffne die Schublade 打开", "öffne die Schublade 打开"),
        ("red\x1b[31m\x07", r"red\x1b[31m\x07"),
        ("two\r\nlines\u2028", r"two\r\nlines\u2028"),
        ("\u202eturned", r"\u202eturned"),
        ("half \ud800", r"half \ud800"),
        ("\x9b31m", r"\x9b31m"),
        ("", ""),
        ("0123456789", "0123456789"),
        ("0123456789a", "0123456789… (11 characters)"),
    ],
)
def test_shown_on_one_line(text, shown):
    assert printable(text, 10 if text.startswith("0") else 500) == shown


def test_long_text_is_cut_unless_told_otherwise():
    assert printable("x" * 10_000_000) == "x" * 500 + "… (10000000 characters)"
