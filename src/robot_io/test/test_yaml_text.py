"""YAML from outside: what it means, and what is refused in one short sentence."""

import itertools
import math
import os
import time

import pytest
import yaml

from polytask_robot_io import yaml_text
from polytask_robot_io.yaml_text import BadYaml, read_file, read_yaml, write_yaml


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((word, word) for word in ("on", "off", "yes", "no", "On", "n", "y", "2026-11-27", "2026_11_27", "1_000")),
        *((word, word) for word in ("1:30", "12:30:45", "0b1", "1.2.3", "tRUE", "=", "<", "open the drawer", "+", ".")),
        ("'1'", "1"),
        ('"true"', "true"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("7", 7),
        ("-7", -7),
        ("0010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e5", 1e5),
        ("1.0e-4", 1e-4),
        ("1E+2", 100.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("[1, [a, 2.5]]", [1, ["a", 2.5]]),
        ("{b: {c: 1}}", {"b": {"c": 1}}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_words_mean_what_yaml_1_2_says(word, value):
    got = read_yaml(f"a: {word}", "x.yaml")
    assert got == {"a": value}
    assert type(got["a"]) is type(value)


def test_a_document_may_be_anything():
    assert math.isnan(read_yaml(".nan", "x.yaml"))
    assert read_yaml("", "x.yaml") is None
    assert read_yaml("# nothing\n", "x.yaml") is None
    assert read_yaml("- a\n- 1\n", "x.yaml") == ["a", 1]


def test_aliases_give_copies_and_mappings_are_merged():
    got = read_yaml("a: &a {x: 1, y: [2]}\nb: *a\nc: {<<: *a, x: 3}\nd: {x: 4, <<: [*a, {z: 5}]}", "x.yaml")
    assert got["b"] == {"x": 1, "y": [2]}
    assert got["c"] == {"x": 3, "y": [2]}
    assert got["d"] == {"x": 4, "y": [2], "z": 5}
    got["b"]["y"].append(7)
    assert got["a"] == {"x": 1, "y": [2]}


def bomb():
    """Nine lists of ten aliases to the one before."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{two}: &{two} [{', '.join(10 * [f'*{one}'])}]" for one, two in itertools.pairwise("abcdefghij")]
    return "\n".join(lines)


REFUSED = [
    (bomb(), "line 5: more than 20000 values, aliases counted each time"),
    ("name: &a [*a]", "line 1: nothing before is called '&a'"),
    ("[" * 5000, "line 1: more than 50 levels of nesting"),
    ("{a: " * 5000, "line 1: more than 50 levels of nesting"),
    ("- " * 5000, "line 1: more than 50 levels of nesting"),
    ("\n".join(" " * k + "a:" for k in range(900)), "line 51: more than 50 levels of nesting"),
    ("[" + "1," * 400_000 + "]", "line 1: more than 20000 values"),
    ("a: " + "x" * 2_000_000, "2000003 characters or more, but at most 1000000 are read"),
    ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: key 'c' is there twice"),
    ("a: 1\n" + "x" * 1000 + ": 1\n" + "x" * 1000 + ": 2", "line 3: "),
    ("1: a", "line 1: key 1 is not a word; put it in quotes"),
    ("? [a]\n: b", "is not a word"),
    ("a: !!python/object/apply:os.system [ls]", "line 1: tag tag:yaml.org,2002:python/object/apply:os.system is not"),
    ("a: !!timestamp x", "tag tag:yaml.org,2002:timestamp is not understood; leave it out"),
    ("a: 1\n---\nb: 2", "line 2: a second document begins"),
    ("a: [\nb: :", "line 2: cannot be read as YAML"),
    ("a: {<<: 3}", "line 1: '<<' takes the entries of another mapping"),
    ("a: \0", "cannot be read as YAML"),
    ("a: \ud800", "cannot be read as YAML"),
    ("a: \x1b[31m", "cannot be read as YAML"),
]


@pytest.mark.parametrize("loader", ["with libyaml", "without"])
@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_refused_in_one_short_sentence_at_once(text, said, loader, monkeypatch):
    if loader == "without":
        monkeypatch.setattr(yaml_text, "_Loader", yaml.SafeLoader)
    began = time.process_time()
    with pytest.raises(BadYaml) as refusal:
        read_yaml(text, "x.yaml")
    assert time.process_time() - began < (1.0 if loader == "with libyaml" else 5.0)
    reason = str(refusal.value)
    assert reason.startswith("x.yaml")
    assert said in reason
    assert reason.isprintable()
    assert len(reason) < 400


def test_whole_numbers_of_many_digits_harm_nobody():
    assert read_yaml("9" * 100_000, "x.yaml") == math.inf


def test_files_that_are_no_text_are_refused_by_name(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: für".encode("latin-1"))
    with pytest.raises(BadYaml, match=r"latin\.yaml: cannot be read: byte 4 is not UTF-8; save it as UTF-8 text"):
        read_file(latin)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(10**12)  # takes no room
    with pytest.raises(BadYaml, match="at most 1000000 are read"):
        read_file(huge)
    os.mkfifo(tmp_path / "fifo.yaml")
    for name, said in (("fifo.yaml", "it is no file"), (".", "it is no file"), ("none.yaml", "No such file")):
        with pytest.raises(BadYaml, match=said):
            read_file(tmp_path / name)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes("\ufeffa: für\r\n".encode())
    assert read_file(path) == {"a": "für"}


def test_what_is_written_is_read_again():
    text = [
        "on",
        "1e5",
        "1_000",
        "0010",
        "0o7",
        "1:30",
        "2026-11-27",
        "",
        "~",
        "true",
        "+1",
        "a: b",
        "two\nlines",
        "für",
    ]
    content = {"text": text, "numbers": [1, 2.5, 1e-300, 1e300, -3], "others": [True, None, [], {}]}
    written = write_yaml(content)
    assert read_yaml(written, "x.yaml") == content
    assert yaml.safe_load(written) == content
