"""Pictures: there, quick, and with everything in them that a task is about."""

import numpy as np
import pytest

from polytask_suites import SuiteError, make_env, scripted_expert
from polytask_suites.benchmarks import rendering as rendering_benchmark
from polytask_suites.tabletop import visuals


@pytest.fixture(scope="module")
def env():
    env = make_env("tabletop", "peg-yellow", cameras=True)
    yield env
    env.close()


def coloured(picture, low, high):
    """How many pixels lie between two RGB colours."""
    return int(np.all((picture >= low) & (picture <= high), axis=-1).sum())


def test_the_observation_has_the_picture(env):
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert observation["camera"].shape == (84, 84, 3)
    moved = env.step(np.array([0, 1, 0, 0], np.float32))[0]["camera"]
    assert np.abs(moved.astype(int) - observation["camera"]).max() > 50


@pytest.mark.parametrize("seed", range(5))
def test_what_the_tasks_are_about_can_be_seen(env, seed):
    env.reset(seed=seed)
    picture = env.render()
    assert coloured(picture, (130, 0, 0), (255, 60, 60)) >= 8, "peg"
    assert coloured(picture, (0, 70, 0), (70, 200, 90)) >= 40, "green cup"
    assert coloured(picture, (120, 90, 0), (255, 220, 60)) >= 40, "yellow cup"
    assert coloured(picture, (0, 0, 120), (60, 110, 255)) >= 40, "blue cup"
    assert coloured(picture, (140, 0, 90), (255, 60, 230)) >= 4, "reach target"


def test_a_task_done_looks_different_from_its_start(env):
    for task in ("drawer-open", "drawer-close", "box-open", "peg-green"):
        observation, _ = env.reset(seed=2, options={"task": task})
        start, expert = observation["camera"].astype(int), scripted_expert("tabletop", task)
        for _ in range(40):
            observation = env.step(expert(observation["state"]))[0]
        assert (np.abs(observation["camera"] - start).max(-1) > 40).sum() > 100, task


def test_the_same_state_gives_the_same_picture_also_in_another_environment(env):
    env.reset(seed=3)
    picture = env.render()
    assert np.array_equal(picture, env.render())
    other = make_env("tabletop", "reach")
    other.reset(seed=3)
    assert np.array_equal(other.render(), picture)
    other.close()


def test_other_sizes_and_after_closing(env):
    env.reset(seed=3)
    assert env.render(width=160, height=120).shape == (120, 160, 3)
    assert env.render().shape == (84, 84, 3)
    env.close()
    assert env.render().shape == (84, 84, 3)


def test_pictures_do_not_change_the_physics(env):
    bare = make_env("tabletop", "peg-yellow")
    for e in (env, bare):
        e.reset(seed=8)
    for _ in range(15):
        action = np.array([0.5, -0.5, -1, 1], np.float32)
        assert np.array_equal(env.step(action)[0]["state"], bare.step(action)[0]["state"])


def test_pictures_come_several_times_quicker_than_with_the_default_settings():
    rates = rendering_benchmark.measure()
    assert rates["ratio"] > 4, rates


def test_the_linkage_meets_the_pads():
    assert visuals.linkage_angle(0.043) == pytest.approx(0.03, abs=0.03)
    assert visuals.linkage_angle(0.0) == pytest.approx(0.86, abs=0.03)


def test_missing_meshes_are_named(monkeypatch):
    monkeypatch.setattr(visuals.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SuiteError, match="gym-xarm"):
        visuals.mesh_folder()
