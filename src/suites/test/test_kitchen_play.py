"""Play data cut into snippets."""

import numpy as np
import pytest

from polytask_suites import make_env
from polytask_suites.kitchen.elements import ELEMENTS
from polytask_suites.kitchen.model import STATE_NAMES
from polytask_suites.kitchen.play import PERIOD, snippets, to_states

STEPS = 40
COMPLETED = {"microwave": 10, "kettle": 25, "light-switch": 25, "slide-cabinet": 33}


@pytest.fixture(scope="module")
def play():
    """Observation t has ``arm_1`` at t/100; each element jumps to its goal at its time."""
    states = np.repeat(make_env("kitchen", "kettle").reset(seed=0)[0]["state"][None], STEPS + 1, axis=0)
    states[:, 0] = np.arange(STEPS + 1) / 100
    for name, at in COMPLETED.items():
        columns = [STATE_NAMES.index(entry) for entry in ELEMENTS[name].entries]
        states[at:, columns] = ELEMENTS[name].goal
    actions = np.repeat(np.arange(STEPS, dtype=np.float32)[:, None] / 100, 9, axis=1)
    return states, actions


@pytest.mark.parametrize(
    ("elements", "start", "end"),
    [
        (["microwave"], 0, 10),
        (["kettle"], 10, 25),
        (["light-switch"], 10, 25),  # completed in the same step: both show what led there
        (["slide-cabinet"], 25, 33),
        (["kettle", "microwave"], 0, 25),
        (list(COMPLETED), 0, 33),
    ],
)
def test_a_snippet_goes_from_one_completion_to_the_next(play, elements, start, end):
    [(states, actions)] = snippets(*play, elements)
    assert np.array_equal(states, play[0][start : end + 1])
    assert np.array_equal(actions, play[1][start:end])


def test_what_was_not_done_or_was_from_the_start_gives_nothing(play):
    states, actions = play
    assert snippets(states, actions, ["top-burner"]) == []
    assert snippets(states, actions, ["microwave", "top-burner"]) == []
    assert snippets(states[10:], actions[10:], ["microwave"]) == []


def test_d4rls_positions_become_states():
    """Speeds of a smooth motion are found again, those of the turning kettle too."""
    time = np.arange(STEPS) * PERIOD
    positions = np.zeros((STEPS, 30), np.float32)
    positions[:, 0] = 0.5 * time
    positions[:, 9 + 13] = -0.3 * time  # microwave
    positions[:, 24] = 0.2 * time  # kettle.y
    rate = 0.4
    positions[:, 26] = np.cos(rate * time / 2)
    positions[:, 29] = np.sin(rate * time / 2)
    positions[20:, 26:] *= -1  # the same orientation
    states = to_states(np.concatenate([positions, np.ones_like(positions)], axis=1))
    assert states.shape == (STEPS, 59)
    value = {name: states[:, column] for column, name in enumerate(STATE_NAMES)}
    assert np.allclose(value["arm_1.position"], 0.5 * time)
    for name, speed in (("arm_1.velocity", 0.5), ("microwave.velocity", -0.3), ("kettle_velocity.y", 0.2)):
        assert value[name][0] == 0
        assert np.allclose(value[name][1:], speed, atol=1e-3)
    assert np.allclose(value["kettle_velocity.wz"][1:], rate, atol=1e-2)
    assert np.array_equal(to_states(states), states)
    with pytest.raises(ValueError, match="have 30"):
        to_states(positions)
