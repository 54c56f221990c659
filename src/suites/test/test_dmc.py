"""The cheetah with ten torsos behind the suites' interface."""

import mujoco
import numpy as np
import pytest
from dm_control.suite import cheetah as original

from polytask_suites import SuiteError, load_suite, make_env, scripted_expert
from polytask_suites.dmc.model import cheetah

LENGTHS = range(80, 130, 5)


def episode(env, seed, steps=30):
    rng = np.random.default_rng(seed)
    states = [env.reset(seed=seed)[0]["state"]]
    for _ in range(steps):
        states.append(env.step(rng.uniform(-1, 1, 6).astype(np.float32))[0]["state"])
    return np.array(states)


def test_there_are_ten_torsos():
    tasks = load_suite("dmc").tasks
    assert list(tasks) == [f"cheetah-run-{length}" for length in LENGTHS]
    assert [round(100 * task.parameters["torso"]) for task in tasks.values()] == list(LENGTHS)


def test_the_usual_torso_is_dm_controls():
    """From the same state the same actions give the same states and rewards."""
    env, reference = make_env("dmc", "cheetah-run-100"), original.run()
    env.reset(seed=3)
    reference.reset()
    physics = reference.physics
    for name in ("qpos", "qvel", "qacc_warmstart"):
        getattr(physics.data, name)[:] = getattr(env._data, name)
    mujoco.mj_step1(physics.model.ptr, physics.data.ptr)
    rng, forwards = np.random.default_rng(0), 0.0
    for _ in range(60):
        action = rng.uniform(-1, 1, 6).astype(np.float32)
        observation, reward, *_ = env.step(action)
        steps = [reference.step(action) for _ in range(2)]
        assert reward == pytest.approx(sum(step.reward for step in steps), abs=1e-9)
        there = np.concatenate([steps[-1].observation["position"], steps[-1].observation["velocity"]])
        assert np.allclose(observation["state"], there, atol=1e-5)
        forwards += reward
    assert forwards > 0


@pytest.mark.parametrize("torso", [0.8, 1.25])
def test_another_torso_keeps_legs_and_mass(torso):
    usual, other = cheetah(1.0), cheetah(torso)
    assert other.body_mass.sum() == pytest.approx(14.0)
    length = other.body("fthigh").pos[0] - other.body("bthigh").pos[0]
    assert length == pytest.approx(torso)
    assert other.geom("torso").size[1] == pytest.approx(torso / 2)
    assert other.geom("head").pos[0] - other.body("fthigh").pos[0] == pytest.approx(0.1)
    for name in ("bthigh", "bshin", "ffoot", "head"):
        assert np.allclose(usual.geom(name).size, other.geom(name).size)


def test_same_seed_same_episode_in_any_environment():
    env = make_env("dmc", "cheetah-run-80")
    first = episode(env, 1)
    assert first.shape == (31, 17)
    assert first.dtype == np.float32
    assert not np.array_equal(episode(env, 2)[0], first[0]), "the start is drawn anew"
    assert np.array_equal(episode(env, 1), first)
    other = make_env("dmc", "cheetah-run-125")
    assert not np.array_equal(episode(other, 1)[-1], first[-1]), "another body moves otherwise"
    other.reset(seed=0, options={"task": "cheetah-run-80"})
    assert np.array_equal(episode(other, 1), first)


@pytest.mark.parametrize(("enough", "success"), [(0.0, True), (1000.0, False)])
def test_success_is_the_whole_episodes_reward_and_known_at_its_end(tmp_path, enough, success):
    file = tmp_path / "short.yaml"
    file.write_text(
        "control_rate: 100\naction_repeat: 2\nhorizon: 3\ncamera: {name: side, width: 84, height: 84}\n"
        "tasks: {run: {description: d, phrases: [run], "
        f"parameters: {{torso: 1.0, success_return: {enough}}}}}}}\n"
    )
    env = make_env("dmc", "run", config=file)
    env.reset(seed=0)
    outcomes = [env.step(np.zeros(6, np.float32))[2:] for _ in range(3)]
    assert [(terminated, truncated) for terminated, truncated, _ in outcomes] == [(False, n == 2) for n in range(3)]
    assert [info["success"] for *_, info in outcomes] == [False, False, success]


def test_a_wrong_action_is_refused_and_nobody_has_a_script():
    env = make_env("dmc", "cheetah-run-100")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="6 finite numbers"):
        env.step(np.array([0, 0, np.nan, 0, 0, 0], np.float32))
    with pytest.raises(SuiteError, match="no scripted experts"):
        scripted_expert("dmc", "cheetah-run-100")
