"""Embodiment files: what is read, and what is refused with file, key and remedy."""

import dataclasses
import itertools
import time

import pytest

from polytask_robot_io.config_files import config_files
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadEmbodiment

TEXT = """
name: toy
description: two entries and a camera
rate: 20.0
max_age: 0.2
state:
  - {name: hand.x, topic: state, unit: m, frame: base, range: [-0.5, 0.75]}
  - {name: grip, topic: joint_states, joint: drive_joint, quantity: position, unit: rad, frame: none}
cameras:
  - {name: camera, topic: camera/image_raw, info_topic: camera/camera_info, frame: optical,
     encoding: rgb8, width: 8, height: 6}
command:
  topic: command
  frame: base
  values:
    - {name: dx, unit: m, frame: base, scale: 0.02, minimum: -1.0, maximum: 1.0}
    - {name: grip, unit: "1", frame: none, scale: 1.0, minimum: -1.0, maximum: 1.0, max_change: 2.0}
"""


def test_reads_every_field():
    toy = Embodiment.from_yaml(TEXT)
    assert toy.state_names == ("hand.x", "grip")
    assert toy.state[0].entry == "hand.x"
    assert (toy.state[1].entry, toy.state[1].quantity) == ("drive_joint", "position")
    assert (toy.state[0].range, toy.state[1].range) == ((-0.5, 0.75), None)
    assert (toy.cameras[0].width, toy.cameras[0].height) == (8, 6)
    assert (toy.command[0].max_change, toy.command[1].max_change) == (None, 2.0)
    assert toy.period_ns == 50_000_000


def test_writing_and_reading_gives_the_same():
    toy = Embodiment.from_yaml(TEXT)
    assert Embodiment.from_yaml(toy.to_yaml()) == toy


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("rate: 20.0", "rate: 20.0\nspeed: 3", "unknown key(s) speed"),
        ("unit: m, frame: base, range", "unit: m, range", r"state[0]: key 'frame' is missing"),
        ("rate: 20.0", "rate: fast", "rate: expected a number"),
        ("rate: 20.0", "rate: true", "rate: expected a number"),
        ("rate: 20.0", "rate: .nan", "not a finite number"),
        ("rate: 20.0", "rate: 0", "must be greater than 0"),
        ("rate: 20.0", "rate: 20.0\nrate: 30.0", "key 'rate' is there twice"),
        ("max_age: 0.2", "max_age: .inf", "not a finite number"),
        ("name: grip, topic", "name: hand.x, topic", "name 'hand.x' is there twice"),
        ("joint: drive_joint, ", "", "key 'joint' is missing"),
        ("quantity: position", "quantity: colour", "'colour' is not one of position, velocity, effort"),
        ("topic: joint_states", "topic: state", "'joint' and 'quantity' to both or to none"),
        ("[-0.5, 0.75]", "0.75", "state[0].range: expected '[least, greatest]', found float 0.75"),
        ("[-0.5, 0.75]", "[0.75]", "expected '[least, greatest]'"),
        ("[-0.5, 0.75]", "[0.75, 0.75]", "least 0.75 must be less than greatest 0.75"),
        ("[-0.5, 0.75]", "[0, .inf]", "state[0].range: inf is not a finite number"),
        ("[-0.5, 0.75]", "[low, 1]", "state[0].range: expected a number, found str 'low'"),
        ("rate: 20.0", "rate: 1.0e-300", "toy.yaml.rate: 1e-300 must be within [0.01, 10000.0]"),
        ("rate: 20.0", "rate: 1e300", "rate: 1e+300 must be within [0.01, 10000.0]"),
        ("rate: 20.0", "rate: " + "9" * 399, "rate: inf is not a finite number"),
        ("max_age: 0.2", "max_age: 1.0e+300", "max_age: 1e+300 must be within [0.0001, 3600.0]"),
        ("scale: 0.02", "scale: 1.0e-300", "scale: 1e-300 must be within [1e-09, 1000000000.0]"),
        ("max_change: 2.0", "max_change: 1.0e+300", "max_change: 1e+300 must be within"),
        ("width: 8", "width: 100000000", "width: 100000000.0 must be within [1, 16384]"),
        ("name: toy", "name: [*a]", "nothing before is called '&a'"),
        ("name: toy", "name: " + "x" * 101, "name: 101 characters, but at most 100 are allowed"),
        ("name: toy", 'name: "\\e[31m"', r"name: '\x1b[31m' holds characters that do not print"),
        ("description: two", "description: " + "x" * 2000, "at most 2000 are allowed"),
        ("unit: m", "unit: 1", "state[0].unit: expected text, found int 1; put it in quotes"),
        ("name: toy", "name: false", "name: expected text, found bool False; put it in quotes"),
        ("topic: command", "topic: my command", "command.topic: 'my command' is no topic's name"),
        ("topic: command", "topic: 2026_11_27", "command.topic: '2026_11_27' is no topic's name"),
        ("encoding: rgb8", "encoding: mono8", "'mono8' is not one of rgb8, bgr8"),
        ("width: 8", "width: 8.5", "whole number of pixels"),
        ("scale: 0.02", "scale: 0", "must be greater than 0"),
        ("minimum: -1.0", "minimum: -2.0", "must be within [-1, 1]"),
        ("minimum: -1.0", "minimum: 1.0", "must be less than maximum"),
        ("name: toy", "name: 7", "expected text"),
        ("topic: command", "topic: command\n  color: red", "unknown key(s) color"),
    ],
)
def test_refuses_with_file_key_and_remedy(before, after, said):
    assert before in TEXT
    with pytest.raises(BadEmbodiment) as refusal:
        Embodiment.from_yaml(TEXT.replace(before, after, 1), source="toy.yaml")
    assert "toy.yaml" in str(refusal.value)
    assert said in str(refusal.value)


def test_text_stays_text():
    for name in ("on", "no", "2026-11-27", "1_000", "1:30"):
        toy = Embodiment.from_yaml(TEXT.replace("name: toy", f"name: {name}"))
        assert toy.name == name
        assert Embodiment.from_yaml(toy.to_yaml()) == toy


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{two}: &{two} [{', '.join(10 * ['*' + one])}]" for one, two in itertools.pairwise("abcdefghi")]
    began = time.process_time()
    with pytest.raises(BadEmbodiment, match=r"toy\.yaml, line 5: more than 20000 values"):
        Embodiment.from_yaml("\n".join(lines) + "\nname: *i", source="toy.yaml")
    assert time.process_time() - began < 1.0


def test_shipped_files_are_read_and_written_again():
    for path in config_files("embodiments").values():
        shipped = Embodiment.load(path)
        assert Embodiment.from_yaml(shipped.to_yaml()) == shipped


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "just words"])
def test_refuses_what_is_no_mapping(text):
    with pytest.raises(BadEmbodiment, match=r"toy\.yaml"):
        Embodiment.from_yaml(text, source="toy.yaml")


def test_same_entry_twice_is_refused():
    text = TEXT.replace("hand.x, topic: state", "a, topic: state, entry: x").replace(
        "grip, topic: joint_states, joint: drive_joint, quantity: position", "b, topic: state, entry: x"
    )
    with pytest.raises(BadEmbodiment, match="'a' and 'b' are the same entry of state"):
        Embodiment.from_yaml(text)


def test_found_by_name_and_by_path(tmp_path, monkeypatch):
    (tmp_path / "embodiments").mkdir()
    path = tmp_path / "embodiments" / "toy.yaml"
    path.write_text(TEXT)
    monkeypatch.setenv("POLYTASK_CONFIG", str(tmp_path))
    assert Embodiment.load("toy") == Embodiment.load(path) == Embodiment.load(str(path))
    with pytest.raises(BadEmbodiment, match="there are: toy"):
        Embodiment.load("other")
    with pytest.raises(BadEmbodiment, match="no such embodiment file"):
        Embodiment.load(tmp_path / "missing.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadEmbodiment, match="cannot be read"):
        Embodiment.load(path)


def test_differences_name_what_does_not_fit():
    toy = Embodiment.from_yaml(TEXT)
    assert toy.differences(dataclasses.replace(toy, name="another", description="elsewhere")) == []
    no_range = dataclasses.replace(toy, state=(dataclasses.replace(toy.state[0], range=None), toy.state[1]))
    assert toy.differences(no_range) == no_range.differences(toy) == []
    faster = dataclasses.replace(toy, rate=40.0)
    assert toy.differences(faster) == ["rate: 20.0 Hz against 40.0 Hz"]
    other_unit = dataclasses.replace(toy, state=(dataclasses.replace(toy.state[0], unit="mm"), toy.state[1]))
    assert toy.differences(other_unit) == ["state 0 (hand.x): unit m against mm"]
    fewer = dataclasses.replace(toy, state=toy.state[:1])
    assert "only in one of them: grip" in toy.differences(fewer)[0]
    scaled = dataclasses.replace(toy, command=(dataclasses.replace(toy.command[0], scale=1.0), toy.command[1]))
    assert "scale 0.02 against 1.0" in toy.differences(scaled)[0]
