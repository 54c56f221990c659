"""Counting episodes and steps, without ROS."""

from types import SimpleNamespace

import numpy as np
import pytest

from polytask_robot_io.outcomes import TerminationReason
from polytask_sim_bridge.episode import SEEDS, EpisodeRunner


class ToyEnv:
    """A counter that succeeds from step 3 to 5, ends after 8, and can be told to fail."""

    suite = "toy"
    shared_scene = True
    tasks = dict.fromkeys(("one", "two"), SimpleNamespace())

    def __init__(self):
        self.task, self.count, self.drawn = "one", 0, 0
        self.failing = self.unstable = False

    def reset(self, *, seed=None, options=None):
        if self.failing:
            raise RuntimeError("broken")
        self.task, self.count, self.seed = options["task"], 0, seed
        return {"state": np.zeros(1, np.float32)}, {"success": False, "message": "begun"}

    def step(self, action):
        if self.failing:
            raise FloatingPointError("diverged")
        self.count += 1
        if self.unstable:
            return (
                {"state": np.zeros(1, np.float32)},
                0.0,
                False,
                True,
                {"success": False, "message": "bad", "fault": True},
            )
        info = {"success": 3 <= self.count <= 5, "message": f"at {self.count}"}
        return {"state": np.full(1, self.count, np.float32)}, 0.5, False, self.count >= 8, info

    def done_tasks(self, state):
        return {3: ("one",), 4: ("one", "two"), 5: ("two",)}.get(int(state[0]), ())

    def render(self):
        self.drawn += 1
        return np.zeros((2, 2, 3), np.uint8)


ACTION = np.zeros(1, np.float32)


def runner(**options):
    return EpisodeRunner(ToyEnv(), seed=0, **options)


def test_ids_are_unique_and_tell_what_it_was():
    one = runner()
    assert one.episode.id == "toy/one/0-0001"
    ids = {one.reset("two", 17).id for _ in range(3)}
    assert len(ids) == 3
    assert one.episode.id == "toy/two/17-0004"


def test_success_ends_it():
    one = runner()
    for _ in range(3):
        one.step(ACTION)
    assert (one.episode.step, one.episode.termination_reason, one.episode.ended, one.episode.success) == (
        3,
        TerminationReason.SUCCEEDED,
        True,
        True,
    )
    assert one.episode.message == "at 3"
    assert one.episode.reward == 0.5


def test_or_the_horizon_when_success_shall_not():
    one = runner(end_on_success=False)
    for _ in range(8):
        assert not one.episode.ended
        one.step(ACTION)
    assert (one.episode.step, one.episode.termination_reason, one.episode.success) == (
        8,
        TerminationReason.TIME_LIMIT,
        False,
    )


def test_empty_task_is_the_current_one_and_seeds_are_drawn():
    one, other = runner(), runner()
    one.reset("two", 5)
    assert one.reset("", -1).task == "two"
    assert 0 <= one.episode.seed < SEEDS
    assert other.reset("", -1).seed == one.episode.seed  # from the node's seed


@pytest.mark.parametrize(("task", "seed", "said"), [("three", 0, "it has: one, two"), ("one", -2, "below -1")])
def test_a_bad_reset_leaves_the_episode_alone(task, seed, said):
    one = runner()
    one.step(ACTION)
    before = one.episode
    with pytest.raises(ValueError, match=said):
        one.reset(task, seed)
    assert one.episode is before
    assert (before.step, before.termination_reason) == (1, TerminationReason.RUNNING)


def test_a_failing_simulation_is_a_fault_and_can_be_reset():
    one = runner()
    one.env.failing = True
    one.step(ACTION)
    assert one.episode.termination_reason is TerminationReason.FAULT
    assert "diverged" in one.episode.message
    one.env.failing = False
    assert one.reset("", 1).termination_reason is TerminationReason.RUNNING


def test_an_unstable_simulation_is_a_fault_and_no_time_limit():
    one = runner()
    one.step(ACTION)
    one.env.unstable = True
    one.step(ACTION)
    assert (one.episode.termination_reason, one.episode.step, one.episode.success) == (
        TerminationReason.FAULT,
        2,
        False,
    )
    assert one.episode.message == "bad; reset the episode"


def test_a_failing_reset_ends_the_episode_before():
    one = runner()
    one.env.failing = True
    with pytest.raises(ValueError, match="could not be reset to 'two' with seed 3"):
        one.reset("two", 3)
    assert one.episode.termination_reason is TerminationReason.FAULT


def test_one_picture_a_step():
    one = runner()
    one.picture()
    one.picture()
    assert one.env.drawn == 1
    one.step(ACTION)
    one.picture()
    assert one.env.drawn == 2


def test_the_world_has_no_end_and_says_what_holds():
    one = runner(world=True)
    assert (one.episode.id, one.episode.task) == ("toy/world/0-0001", "")
    held = []
    for _ in range(20):
        one.step(ACTION)
        held.append(one.episode.held)
    assert held[2:6] == [{"one": 1}, {"one": 2, "two": 1}, {"two": 2}, {}]
    assert (one.episode.step, one.episode.ended, one.episode.success) == (20, False, False)
    assert one.reset("two", 5).task == "two"
    assert one.reset("", 6).id == "toy/world/6-0003"
    one.env.unstable = True
    one.step(ACTION)
    assert one.episode.ended
    assert one.episode.message == "bad; reset the episode"
