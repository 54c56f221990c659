"""Franka Kitchen behind the suites' interface."""

import mujoco
import numpy as np
import pytest

from polytask_suites import SuiteError, load_suite, make_env, scripted_expert
from polytask_suites.kitchen.elements import ELEMENTS, done
from polytask_suites.kitchen.model import STATE_NAMES

PAPER = load_suite("kitchen").lists["paper6"]


def episode(env, seed, steps=15):
    rng = np.random.default_rng(seed)
    states = [env.reset(seed=seed)[0]["state"]]
    for _ in range(steps):
        states.append(env.step(rng.uniform(-1, 1, 9).astype(np.float32))[0]["state"])
    return np.array(states)


def test_the_physics_are_franka_kitchens():
    """From the same state, and without its noise, the same actions give the same states."""
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES, KitchenEnv

    reference = KitchenEnv(robot_noise_ratio=0.0, object_noise_ratio=0.0)
    reference.reset(seed=0)
    env = make_env("kitchen", "kettle")
    env.reset(seed=0)
    reference.robot_env.set_state(env._data.qpos, env._data.qvel)
    reference.robot_env._last_robot_qpos = env._data.qpos[:9].copy()
    env._data.qacc_warmstart[:] = reference.data.qacc_warmstart
    rng = np.random.default_rng(0)
    for _ in range(10):
        action = rng.uniform(-1, 1, 9).astype(np.float32)
        there = reference.step(action)[0]["observation"]
        here = env.step(action)[0]["state"]
        assert np.allclose(here, there, atol=1e-4)
    for name, element in ELEMENTS.items():
        theirs = name.replace("-", " ")
        goal, joints = OBS_ELEMENT_GOALS[theirs], OBS_ELEMENT_INDICES[theirs]
        assert element.goal == tuple(goal)
        assert element.distance(here) == pytest.approx(np.linalg.norm(env._data.qpos[joints] - goal), abs=1e-5)
    reference.close()


def test_the_start_depends_on_the_seed_alone():
    env = make_env("kitchen", "kettle")
    first = episode(env, 1)
    assert first.shape == (16, 59)
    assert first.dtype == np.float32
    assert not np.array_equal(episode(env, 2)[0], first[0]), "the start is drawn anew"
    assert np.array_equal(episode(env, 1), first)
    other = make_env("kitchen", "microwave")
    assert np.array_equal(episode(other, 1), first), "one kitchen for all tasks"
    other.reset(seed=0, options={"task": "kettle"})
    assert other.task == "kettle"
    assert not done(first[0], PAPER).any()


def test_a_combination_is_done_when_all_of_it_is_for_five_steps():
    env = make_env("kitchen", "microwave-kettle-light-slide")
    env.reset(seed=0)
    joints = [env._model.joint(name).id for name in ("microwave", "light_switch", "light_joint", "slide_cabinet")]
    rewards, successes = [], []
    for step in range(7):
        env._data.qvel[:] = 0.0
        env._data.qpos[[env._model.jnt_qposadr[joint] for joint in joints]] = (-0.75, -0.69, -0.05, 0.37)
        if step > 0:
            env._data.joint("kettle").qpos[:] = ELEMENTS["kettle"].goal
        mujoco.mj_forward(env._model, env._data)
        _, reward, _, _, info = env.step(np.zeros(9, np.float32))
        rewards.append(reward)
        successes.append(info["success"])
    assert rewards == [3.0] + [4.0] * 6
    assert successes == [False] * 5 + [True] * 2


def check_expert(task, seeds, least):
    env, expert, successes = make_env("kitchen", task), scripted_expert("kitchen", task), 0
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        expert.reset()
        truncated = False
        while not (truncated or info["success"]):
            observation, _, terminated, truncated, info = env.step(expert(observation["state"]))
            assert env.observation_space.contains(observation)
            assert not terminated
        successes += info["success"]
    assert successes >= least, task


@pytest.mark.parametrize("task", ["kettle", "light-switch"])
def test_experts(task):
    check_expert(task, range(1), 1)


@pytest.mark.slow
@pytest.mark.parametrize("task", [*PAPER, "microwave-kettle-light-slide"])
def test_experts_of_the_papers_tasks(task):
    check_expert(task, range(10, 12), 2)


def test_pictures_show_the_arm_where_it_is():
    env = make_env("kitchen", "kettle", cameras=True)
    before = env.reset(seed=0)[0]["camera"].astype(int)
    assert before.shape == (84, 84, 3)
    expert, observation = scripted_expert("kitchen", "kettle"), {"state": env._state()}
    for _ in range(8):
        observation = env.step(expert(observation["state"]))[0]
    assert (np.abs(observation["camera"].astype(int) - before).max(axis=2) > 40).sum() > 50
    assert np.array_equal(env.render(), observation["camera"])
    env.close()


def test_what_does_not_fit_is_refused(tmp_path):
    env = make_env("kitchen", "kettle")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="9 finite numbers"):
        env.step(np.zeros(4, np.float32))
    file = tmp_path / "mine.yaml"
    file.write_text(
        "control_rate: 12.5\nhorizon: 9\ncamera: {name: front, width: 84, height: 84}\n"
        "tasks: {cook: {description: d, phrases: [cook], parameters: {elements: [stew]}}}\n"
    )
    with pytest.raises(SuiteError, match=r"cook.*hinge-cabinet"):
        make_env("kitchen", "cook", config=file)
    assert len(STATE_NAMES) == len(set(STATE_NAMES)) == 59
