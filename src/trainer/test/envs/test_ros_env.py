"""The environment over topics against the one in process, with the simulator as a process of its own."""

import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest

from polytask_suites import make_env, scripted_expert
from polytask_trainer.envs.bridge_client import BridgeError
from polytask_trainer.envs.ros_env import TopicEnv

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("topic_env")

ATTRIBUTES = ("suite", "task", "state_names", "control_rate", "horizon", "action_space", "tasks")


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain):
    return module_ros_domain


@contextmanager
def running_bridge(namespace="", **parameters):
    """Run a simulator, which is killed in the end whatever happens: it would be seen by later tests of its domain."""
    parameters = {"stepping_mode": "service", "end_on_success": "false", "task": "drawer-open", **parameters}
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    command = ["python", "-m", "polytask_sim_bridge.sim_bridge_node", "--ros-args", *arguments]
    process = subprocess.Popen([*command, "-r", f"__ns:=/{namespace}"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def bridge(ros_domain):
    with running_bridge() as process:
        yield process


@pytest.fixture(scope="module")
def pair(bridge):
    envs = (make_env("tabletop", "drawer-open"), TopicEnv("tabletop", "drawer-open"))
    yield envs
    for env in envs:
        env.close()


def test_same_attributes_and_spaces(pair):
    ours, theirs = pair
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.observation_space == theirs.observation_space


@pytest.mark.parametrize("task", ["drawer-open", "peg-green"])
def test_same_seed_and_actions_give_the_same_episode_bit_by_bit(pair, task):
    rng = np.random.default_rng(0)
    episodes = [env.reset(seed=7, options={"task": task}) for env in pair]
    for _ in range(40):
        (ours, our_info), (theirs, their_info) = episodes
        assert ours["state"].dtype == theirs["state"].dtype == np.float32
        assert ours["state"].tobytes() == theirs["state"].tobytes()
        assert our_info == their_info
        action = rng.uniform(-1.3, 1.3, 4).astype(np.float32)
        results = [env.step(action) for env in pair]
        assert results[0][1:4] == results[1][1:4]
        episodes = [(result[0], result[4]) for result in results]


def test_same_pictures(pair):
    for _ in range(2):  # from the topic first, along with the step then
        pictures = []
        for env in pair:
            env.reset(seed=3)
            for _ in range(2):
                env.step(np.array([0.5, 0.0, -0.5, 1.0], np.float32))
            pictures.append(env.render())
        assert pictures[0].dtype == np.uint8
        assert np.array_equal(*pictures)


def test_pictures_in_the_observation(bridge):
    ours, theirs = make_env("tabletop", "reach", cameras=True), TopicEnv("tabletop", "reach", cameras=True)
    try:
        assert ours.observation_space == theirs.observation_space
        for env in (ours, theirs):
            env.reset(seed=1)
        one, two = (env.step(np.ones(4, np.float32))[0] for env in (ours, theirs))
        assert np.array_equal(one["camera"], two["camera"])
    finally:
        ours.close()
        theirs.close()


def test_truncated_at_the_horizon_and_no_further(pair):
    results = []
    for env in pair:
        env.reset(seed=2, options={"task": "drawer-close"})
        flags = [env.step(np.zeros(4, np.float32))[3] for _ in range(env.horizon)]
        results.append(flags)
    assert results[0] == results[1] == [False] * (pair[1].horizon - 1) + [True]
    with pytest.raises(BridgeError, match="has ended"):
        pair[1].step(np.zeros(4, np.float32))


def test_wrong_actions_are_refused(pair):
    env = pair[1]
    env.reset(seed=0)
    for action in (np.zeros(3), np.array([0, 0, 0, np.nan])):
        with pytest.raises(ValueError, match="finite numbers"):
            env.step(action)
    env.step(np.zeros(4, np.float32))


def test_somebody_else_at_the_simulator_is_noticed(pair):
    env, other = pair[1], TopicEnv("tabletop", "reach")
    env.reset(seed=0)
    other.reset(seed=1)
    with pytest.raises(BridgeError, match="refused"):
        env.step(np.zeros(4, np.float32))
    other.close()


def test_simulator_that_ends_at_success_is_told_from_the_suite(ros_domain):
    with running_bridge("ending", end_on_success="true"):
        env = TopicEnv("tabletop", "drawer-close", namespace="ending")
        expert = scripted_expert("tabletop", "drawer-close")
        observation, success = env.reset(seed=0)[0], False
        while not success:
            observation, _, _, truncated, info = env.step(expert(observation["state"]))
            success = info["success"]
        assert not truncated
        with pytest.raises(BridgeError, match="end_on_success:=false"):
            env.step(np.zeros(4, np.float32))
        env.close()


@pytest.mark.timed
def test_wrong_suite_and_missing_simulator_are_told_apart(bridge):
    with pytest.raises(BridgeError, match="runs suite 'tabletop'"):
        TopicEnv("metaworld", "drawer-open")
    began = time.monotonic()
    with pytest.raises(BridgeError, match="no simulator serves /nowhere/list_tasks"):
        TopicEnv("tabletop", "reach", namespace="nowhere", timeout=1.0)
    assert time.monotonic() - began < 4


@pytest.mark.timed
def test_simulator_killed_or_frozen_in_mid_episode_raises_soon():
    with running_bridge("doomed") as process:
        env = TopicEnv("tabletop", "reach", namespace="doomed", timeout=20.0)
        env._bridge._timeout = 3.0
        env.reset(seed=0)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(BridgeError, match="did not answer within 3 s"):
            env.step(np.zeros(4, np.float32))
        assert time.monotonic() - began < 4
    with pytest.raises(BridgeError):
        env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(BridgeError, match="closed"):
        env.reset(seed=0)
