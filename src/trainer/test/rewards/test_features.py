import numpy as np
import pytest

from polytask_trainer.rewards.features import FeatureError, absolute_features, parse_features

NAMES = ("hand.x", "hand.y", "cup.x", "cup.y", "lid")
STATES = np.array([[1, 2, 3, 5, 0.5], [2, 2, 3, 5, 0.7]], dtype=np.float32)


def test_each_kind() -> None:
    features = parse_features(
        [
            {"name": "a", "kind": "value", "entries": ["lid"], "scale": 0.5},
            {
                "name": "b",
                "kind": "difference",
                "entries": ["cup.x", "cup.y"],
                "minus": ["hand.x", "hand.y"],
                "scale": 2,
            },
            {"name": "c", "kind": "displacement", "entries": ["hand.x"], "scale": 0.1},
        ],
        NAMES,
    )
    assert np.allclose(features(STATES), [[1.0, 1.0, 1.5, 0.0], [1.4, 0.5, 1.5, 10.0]])


def test_absolute_features_are_the_whole_state() -> None:
    assert np.allclose(absolute_features(NAMES)(STATES), STATES / 0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "ratio"}, "kind must be one of"),
        ({"entries": ["lidd"]}, "has no lidd; it has: hand.x"),
        ({"entries": []}, "entries is empty"),
        ({"scale": 0}, "scale must be positive"),
        ({"scale": "wide"}, "scale is missing or not a number"),
        ({"minus": ["lid"]}, "for a difference only"),
        ({"kind": "difference"}, "as many entries"),
        ({"unit": "m"}, "unknown keys"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_name(change: dict[str, object], words: str) -> None:
    entry = {"name": "lid angle", "kind": "value", "entries": ["lid"], "scale": 1.0, **change}
    with pytest.raises(FeatureError, match="'lid angle'.*" + words):
        parse_features([entry], NAMES)


def test_a_task_without_features_is_refused() -> None:
    with pytest.raises(FeatureError, match="declares no features"):
        parse_features([], NAMES)
