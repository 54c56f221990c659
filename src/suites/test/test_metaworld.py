"""Meta-World behind the suites' interface."""

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from polytask_suites import SuiteError, load_suite, make_env, scripted_expert

PAPER = load_suite("metaworld").lists["paper16"]


def episode(env, seed, steps=30):
    rng = np.random.default_rng(seed)
    states = [env.reset(seed=seed)[0]["state"]]
    for _ in range(steps):
        states.append(env.step(rng.uniform(-1, 1, 4).astype(np.float32))[0]["state"])
    return np.array(states)


def test_all_of_meta_worlds_tasks_are_there():
    assert {f"{task}-v3" for task in load_suite("metaworld").tasks} == set(ALL_V3_ENVIRONMENTS)


@pytest.mark.parametrize("task", ["drawer-open", "coffee-pull", "hammer"])
def test_same_seed_same_episode(task):
    env = make_env("metaworld", task)
    first = episode(env, 1)
    assert first.shape == (31, len(env.state_names))
    assert first.dtype == np.float32
    other = episode(env, 2)
    assert not np.array_equal(first[0], other[0]), "the start is drawn anew"
    assert np.array_equal(episode(env, 1), first)
    assert np.array_equal(episode(make_env("metaworld", task), 1), first)


def test_both_frames_of_the_first_state_agree():
    state = make_env("metaworld", "drawer-open").reset(seed=0)[0]["state"]
    assert np.array_equal(state[:18], state[18:36])


def check_expert(task, seeds, least):
    env, done = make_env("metaworld", task), 0
    expert = scripted_expert("metaworld", task)
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        expert.reset()
        truncated = False
        while not (truncated or info["success"]):
            observation, reward, terminated, truncated, info = env.step(expert(observation["state"]))
            assert env.observation_space.contains(observation)
            assert isinstance(reward, float)
            assert not terminated
        done += info["success"]
    assert done >= least, task


@pytest.mark.parametrize("task", ["drawer-close", "button-press", "plate-slide"])
def test_experts(task):
    check_expert(task, range(3), 3)


@pytest.mark.slow
@pytest.mark.parametrize("task", PAPER)
def test_experts_of_the_papers_tasks(task):
    check_expert(task, range(2), 2)


def test_the_horizon_truncates_and_cannot_exceed_meta_worlds(tmp_path):
    file = tmp_path / "short.yaml"
    text = (
        "control_rate: 80\naction_repeat: 2\nhorizon: {}\ncamera: {{name: corner2, width: 84, height: 84}}\n"
        "tasks: {{reach: {{description: d, phrases: [reach]}}}}\n"
    )
    file.write_text(text.format(3))
    env = make_env("metaworld", "reach", config=file)
    env.reset(seed=0)
    assert [env.step(np.zeros(4, np.float32))[3] for _ in range(3)] == [False, False, True]
    file.write_text(text.format(251))
    with pytest.raises(SuiteError, match="250"):
        make_env("metaworld", "reach", config=file)


def test_another_task_brings_its_scene():
    env = make_env("metaworld", "reach")
    env.reset(seed=0, options={"task": "drawer-open"})
    assert env.task == "drawer-open"
    alone = make_env("metaworld", "drawer-open").reset(seed=4)[0]["state"]
    assert np.array_equal(env.reset(seed=4)[0]["state"], alone)
    with pytest.raises(SuiteError, match="drawer-open"):
        env.reset(seed=0, options={"task": "kettle"})


def test_pictures_are_the_right_way_up():
    env = make_env("metaworld", "drawer-open", cameras=True)
    picture = env.reset(seed=0)[0]["camera"].astype(int)
    assert picture.shape == (84, 84, 3)
    wooden = (picture[..., 0] - picture[..., 2]) > 25
    assert wooden[42:].sum() > 2 * wooden[:42].sum(), "the table is below"
    env.close()


def test_a_wrong_action_is_refused():
    env = make_env("metaworld", "reach")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="4 finite numbers"):
        env.step(np.array([0, 0, np.nan, 0], np.float32))
