"""Settings are read by the types that their dataclasses declare, those inside other types too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from polytask_trainer.common.settings import ConfigError, read_settings


@dataclass(frozen=True)
class Part:
    size: int = 1


@dataclass(frozen=True)
class Whole:
    name: str
    steps: int = 1
    rate: float = 0.5
    limit: float | None = None
    weights: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    tasks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kind: Literal["one", "two"] = "one"
    part: Part = field(default_factory=Part)
    other: Part | None = None
    anything: Mapping[str, Any] = field(default_factory=dict)


def test_every_type_is_read() -> None:
    data = {
        "name": "n",
        "steps": 1e5,
        "rate": 1,
        "limit": -2,
        "weights": [1, 0.5],
        "sizes": [2, 3],
        "tasks": {"maze": ["a", "b"]},
        "kind": "two",
        "part": {"size": 4},
        "other": {},
        "anything": {"x": [None, {"y": "z"}]},
    }
    read = read_settings(Whole, data, "x.yaml")
    assert read == Whole(
        *("n", 100_000, 1.0, -2, (1, 0.5), (2, 3), {"maze": ["a", "b"]}, "two", Part(4), Part()),
        anything={"x": [None, {"y": "z"}]},
    )
    # Fingerprints of runs are of the text, in which 1 is not 1.0.
    assert repr((read.steps, read.rate, read.limit, read.weights)) == "(100000, 1.0, -2, (1, 0.5))"


@pytest.mark.parametrize("absent", [{"limit": None}, {"other": None}])
def test_what_may_be_left_out_may_be_null(absent: dict[str, None]) -> None:
    assert read_settings(Whole, {"name": "n", **absent}, "x.yaml") == Whole("n")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit": "high"}, "limit must be a number (of 1e12 at most) or null, not 'high'"),
        ({"limit": float("nan")}, "limit must be a number (of 1e12 at most) or null, not nan"),
        ({"limit": True}, "limit must be a number (of 1e12 at most) or null, not True"),
        ({"weights": [1, "a"]}, "weights must be a list, each entry a number (of 1e12 at most), not [1, 'a']"),
        ({"weights": "12"}, "weights must be a list, not '12'"),
        ({"sizes": [2.0]}, "sizes must be a list, each entry a whole number, not [2.0]"),
        ({"tasks": {"maze": "a"}}, "tasks must be a mapping, its entry maze a list, not {'maze': 'a'}"),
        ({"tasks": ["a"]}, "tasks must be a mapping, not ['a']"),
        ({"kind": "three"}, "kind must be one of one, two, not 'three'"),
        ({"kind": ["one"]}, "kind must be one of one, two, not ['one']"),
        ({"part": None}, "part: must be a mapping, not NoneType"),
        ({"part": {"size": "4"}}, "part: size must be a whole number, not '4'"),
        ({"other": {"depth": 4}}, "other: unknown settings depth; known: size"),
        ({"steps": None}, "steps must be a whole number, not None"),
        ({"steps": 1e13}, "steps must be a whole number, not 10000000000000.0"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_settings(Whole, {"name": "n", **wrong}, "x.yaml")
    assert str(refusal.value) == f"x.yaml: {said}"


def test_what_has_no_default_must_be_given() -> None:
    with pytest.raises(ConfigError, match=r"^x\.yaml: name must be given$"):
        read_settings(Whole, {}, "x.yaml")
