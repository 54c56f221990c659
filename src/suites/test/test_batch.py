"""What batched suites have in common, on a walk along a line."""

import numpy as np
import pytest
from gymnasium import spaces

from polytask_suites import BATCHED, EMBODIMENTS, SuiteError, load_suite, make_batch, make_env, scripted_expert
from polytask_suites.batch import BatchEnv, SingleEnv
from polytask_suites.task import CameraConfig, SuiteConfig, Task

END = 3.0


class Line(BatchEnv):
    """From a random place to the right, END of it, or to the left; ``where`` is told beside the observation."""

    suite, called, state_names = "line", "the line", ("place",)

    def __init__(self, tasks, horizon=6):
        both = {name: Task(name, name, (), horizon) for name in ("right", "left")}
        super().__init__(SuiteConfig("line", 10.0, 1, CameraConfig("above", 8, 8), both), tasks)
        self._declare_spaces(spaces.Box(-1.0, 1.0, (1,), np.float32))
        self.place = np.zeros(self.num_envs)

    def _begin(self, which):
        self.place[which] = [self.random[i].uniform(-1.0, 1.0) for i in which]

    def _advance(self, actions):
        self.place += actions[:, 0]
        success = np.where(self.task_index == 0, self.place, -self.place) > END
        return success.astype(np.float64), success

    def _observe(self, which):
        return self.place[which, None].astype(np.float32)

    def _told(self, which):
        return {"where": np.floor(self.place[which]).astype(np.int64)}


def play(env, steps, actions):
    """Everything that a batch gives in ``steps`` steps after a reset."""
    found = []
    for step in range(steps):
        observation, reward, terminated, truncated, info = env.step(actions[step])
        found.append((observation, reward, terminated, truncated, *(info[name] for name in sorted(info))))
    return found


def test_each_environment_of_a_batch_goes_through_the_steps_of_a_batch_of_one():
    tasks = ("right", "left", "right", "left", "left")
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (40, len(tasks), 1)).astype(np.float32)
    whole = Line(tasks)
    first, _ = whole.reset(seed=7)
    together = play(whole, len(actions), actions)
    for i, task in enumerate(tasks):
        one = Line([task])
        assert np.array_equal(one.reset(seed=7 + i)[0][0], first[i])
        alone = play(one, len(actions), actions[:, i : i + 1])
        for step, (single, batch) in enumerate(zip(alone, together, strict=True)):
            assert all(np.array_equal(s[0], b[i]) for s, b in zip(single, batch, strict=True)), (task, step)
    assert any(step[2].any() for step in together), "some succeeded"
    assert any(step[3].any() for step in together), "some reached the horizon"


def test_what_ends_begins_anew_in_the_same_step_and_says_where_it_ended():
    env = Line(("right", "left"))
    env.reset(seed=[0, 1])
    env.place[:] = (2.5, 2.5)
    observation, reward, terminated, truncated, info = env.step(np.ones((2, 1), np.float32))
    assert terminated.tolist() == info["success"].tolist() == info["_final_obs"].tolist() == [True, False]
    assert reward.tolist() == [1.0, 0.0]
    assert not truncated.any()
    assert info["final_obs"][:, 0].tolist() == [3.5, 3.5]
    assert abs(observation[0, 0]) <= 1.0
    assert observation[1, 0] == 3.5
    assert info["final_where"].tolist() == [3, 3]
    assert info["where"].tolist() == [np.floor(observation[0, 0]), 3]
    assert (observation.dtype, reward.dtype, terminated.dtype) == (np.float32, np.float64, bool)


def test_the_horizon_cuts_but_success_in_the_last_step_terminates():
    env = Line(("right", "right"), horizon=1)
    env.reset(seed=0)
    env.place[:] = (2.5, 0.0)
    _, _, terminated, truncated, info = env.step(np.ones((2, 1), np.float32))
    assert terminated.tolist() == [True, False]
    assert truncated.tolist() == [False, True]
    assert info["_final_obs"].all()


def test_seeds_and_tasks():
    env, other = Line(("right", "left")), Line(("left", "left"))
    first, _ = env.reset(seed=3)
    assert np.array_equal(other.reset(seed=[3, 4])[0], first), "the start is no task's business"
    assert not np.array_equal(env.reset()[0], first), "without a seed the random numbers go on"
    env.reset(options={"tasks": ("left", "right")})
    assert env.task_index.tolist() == [1, 0]
    with pytest.raises(SuiteError, match="right, left"):
        env.reset(options={"tasks": ("left", "up")})
    with pytest.raises(ValueError, match="as many seeds"):
        env.reset(seed=[1])


@pytest.mark.parametrize("actions", [np.zeros((3, 1)), np.full((2, 1), np.nan), np.zeros(2)])
def test_wrong_actions_are_refused(actions):
    env = Line(("right", "left"))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action of the line is 1 finite"):
        env.step(actions)


def test_a_single_environment_does_not_end_at_success():
    env = SingleEnv(Line(["right"]))
    env.reset(seed=0, options={"task": "left"})
    assert env.task == "left"
    steps = [env.step(np.array([-1.0], np.float32)) for _ in range(6)]
    assert [step[4]["success"] for step in steps][-2:] == [True, True]
    assert not any(step[2] for step in steps)
    assert [step[3] for step in steps] == [False] * 5 + [True]
    assert steps[-1][4]["where"] == np.floor(steps[-1][0]["state"][0])


@pytest.mark.parametrize("suite", BATCHED)
def test_environments_made_alone_go_through_the_steps_of_the_batch(suite):
    """Every second task of the house by its script, so that episodes end in both ways."""
    tasks = tuple(load_suite(suite).tasks)
    batch, alone, rng = make_batch(suite, tasks), [make_env(suite, task) for task in tasks], np.random.default_rng(0)
    scripts = {i: scripted_expert(suite, tasks[i]) for i in range(0, len(tasks), 2) if suite == "pocket_house"}
    observation, _ = batch.reset(seed=11)
    assert np.array_equal(observation, [one.reset(seed=11 + i)[0]["state"] for i, one in enumerate(alone)])
    space, arrived, cut = batch.single_action_space, 0, 0
    for _ in range(max(task.horizon for task in load_suite(suite).tasks.values()) + 5):
        many = (len(tasks), *space.shape)
        actions = rng.uniform(-1.0, 1.0, many) if space.shape else rng.integers(space.n, size=many)
        for i, script in scripts.items():
            actions[i] = script(observation[i])
        observation, reward, terminated, truncated, info = batch.step(actions)
        for i, one in enumerate(alone):
            after, paid, _, over, told = one.step(actions[i])
            assert np.array_equal(after["state"], info["final_obs"][i])
            assert (paid, told["success"], over and not told["success"]) == (reward[i], terminated[i], truncated[i])
            if info["_final_obs"][i]:
                after = one.reset()[0]
                if i in scripts:
                    scripts[i].reset()
            assert np.array_equal(after["state"], observation[i])
        arrived, cut = arrived + terminated.sum(), cut + truncated.sum()
    assert min(arrived, cut) > 0


def test_names_without_batches_or_topics_are_refused():
    with pytest.raises(SuiteError, match="'tabletop' does not step in batches"):
        make_batch("tabletop", ["reach"])
    with pytest.raises(SuiteError, match="no suite 'garden'"):
        EMBODIMENTS["garden"]
