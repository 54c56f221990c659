"""The tabletop environment: seeds, start states, control, refusals."""

import mujoco
import numpy as np
import pytest

from polytask_suites import load_suite, make_env, scripted_expert
from polytask_suites.tabletop.control import WIND_UP
from polytask_suites.tabletop.scene import TABLETOP, physics_model
from polytask_suites.tabletop.tasks import SUCCESS_PREDICATES

TASKS = tuple(load_suite("tabletop").tasks)


def entries(env, state, *names):
    return np.array([state[env.state_names.index(name)] for name in names])


def xyz(env, state, name):
    return entries(env, state, *(f"{name}.{axis}" for axis in "xyz"))


def wander(rng):
    """A random action with a drift downwards."""
    return np.clip(rng.normal([0, 0, -0.3, 0], 0.6), -1, 1).astype(np.float32)


def play(env, seed, steps=40):
    """The states of an episode of random actions that wander down into the furniture."""
    rng = np.random.default_rng(seed)
    states = [env.reset(seed=seed)[0]["state"]]
    for _ in range(steps):
        states.append(env.step(wander(rng))[0]["state"])
    return np.array(states)


def test_same_seed_and_actions_give_the_same_episode_bit_by_bit():
    env = make_env("tabletop", "drawer-open")
    first = play(env, 3)
    for seed in range(10, 14):
        play(env, seed)
    assert np.array_equal(play(env, 3), first)
    assert np.array_equal(play(make_env("tabletop", "peg-blue"), 3), first)


def test_the_start_depends_on_the_seed_alone():
    env = make_env("tabletop", "reach")
    starts = {task: env.reset(seed=11, options={"task": task})[0]["state"] for task in TASKS}
    assert env.task == TASKS[-1]
    assert env.horizon == load_suite("tabletop").tasks[TASKS[-1]].horizon
    for start in starts.values():
        assert np.array_equal(start, starts["reach"])
    assert not np.array_equal(env.reset(seed=12)[0]["state"], starts["reach"])


def test_start_states_are_spread_at_rest_and_no_task_is_done():
    env = make_env("tabletop", "reach")
    starts = np.array([env.reset(seed=seed)[0]["state"] for seed in range(100)])
    opening = starts[:, env.state_names.index("drawer.opening")]
    assert 0.06 <= opening.min() < 0.065
    assert 0.095 < opening.max() <= 0.1
    grasp = starts[:, :3]
    assert np.all(np.ptp(grasp, axis=0) > 0.07)
    assert np.all(np.ptp(grasp, axis=0) < 0.081)
    for name in ("grasp_velocity.x", "peg_tip_velocity.z", "drawer.speed", "lid.rate", "lid.angle"):
        assert np.abs(starts[:, env.state_names.index(name)]).max() < 1e-6
    for state in starts:
        assert not any(judge(state)[0] for judge in SUCCESS_PREDICATES["tabletop"].values())


def test_an_idle_arm_leaves_all_where_it_was():
    env = make_env("tabletop", "reach")
    start = env.reset(seed=5)[0]["state"]
    for _ in range(100):
        state, _, terminated, truncated, _ = env.step(np.zeros(4, np.float32))
    assert (terminated, truncated) == (False, True)
    still = [i for i, name in enumerate(env.state_names) if "velocity" not in name]
    # The cups sink a tenth of a millimetre into the table; the peg's weight bends the servos a little.
    np.testing.assert_allclose(state["state"][still], start[still], atol=2e-3)


def test_the_peg_hangs_down_and_gravity_pulls_it():
    env = make_env("tabletop", "reach")
    state = env.reset(seed=5)[0]["state"]
    np.testing.assert_allclose(xyz(env, state, "peg_tip"), [-0.075, 0, -0.021], atol=1e-3)
    model = physics_model(TABLETOP)
    assert model.body_gravcomp[model.body("peg").id] == 0
    for _ in range(10):
        state = env.step(np.array([0, 1, 0, -1], np.float32))[0]["state"]
    assert abs(xyz(env, state, "peg_tip")[1]) > 0.005, "it swings"
    for _ in range(60):
        state = env.step(np.zeros(4, np.float32))[0]["state"]
    np.testing.assert_allclose(xyz(env, state, "peg_tip"), [-0.075, 0, -0.021], atol=2e-3)


def test_the_hand_follows_and_stays_upright():
    env = make_env("tabletop", "reach")
    start = env.reset(seed=1)[0]["state"]
    lags = []
    for k in range(30):
        turn = 2 * np.pi * k / 30
        action = np.array([np.cos(turn), np.sin(turn), 0.3 * np.cos(2 * turn), -1], np.float32)
        state = env.step(action)[0]["state"]
        lags.append(np.linalg.norm(xyz(env, state, "target_error")))
        tool = env.data.site("grasp").xmat.reshape(3, 3)
        assert tool[2, 2] < -0.999, "tilted by less than 2.6 degrees"
    assert np.mean(lags) < 0.012
    for _ in range(10):
        state = env.step(np.zeros(4, np.float32))[0]["state"]
    assert np.linalg.norm(xyz(env, state, "target_error")) < 2e-3
    assert np.linalg.norm(state[:3] - start[:3]) < 0.05


def test_pressing_on_furniture_neither_winds_up_nor_breaks_through():
    env = make_env("tabletop", "reach")
    state = env.reset(seed=2)[0]["state"]
    # Over the cabinet, then down on it with all that the commands can ask for.
    for _ in range(60):
        way = np.clip(([0.58, 0.31, 0.25] - state[:3]) / 0.02, -1, 1)
        state = env.step(np.append(way, -1).astype(np.float32))[0]["state"]
    for _ in range(40):
        state = env.step(np.array([0, 0, -1, -1], np.float32))[0]["state"]
        assert np.linalg.norm(xyz(env, state, "target_error")) <= WIND_UP + 0.01
    assert state[2] > 0.11, "the cabinet is 12 cm high"
    force = np.linalg.norm(force_on(env, "cabinet"))
    assert 5.0 < force < 250.0, f"{force} N"


def force_on(env, body):
    """The sum of contact forces on a body, newtons in the world frame."""
    total, one = np.zeros(3), np.zeros(6)
    model = physics_model(TABLETOP)
    for i in range(env.data.ncon):
        bodies = {model.geom_bodyid[g] for g in env.data.contact[i].geom}
        if model.body(body).id in bodies:
            mujoco.mj_contactForce(model, env.data, i, one)
            total += env.data.contact[i].frame.reshape(3, 3).T @ one[:3]
    return total


def test_the_gripper_opens_and_closes_and_otherwise_stays():
    env = make_env("tabletop", "reach")
    env.reset(seed=1)
    openings = []
    for command in (1.0, 0.0, -1.0, 0.0):
        for _ in range(12):
            state = env.step(np.array([0, 0, 0, command], np.float32))[0]["state"]
        openings.append(entries(env, state, "gripper.opening", "gripper.command"))
    np.testing.assert_allclose(openings, [[0.086, 1], [0.086, 1], [0, 0], [0, 0]], atol=3e-3)


@pytest.mark.parametrize("action", [[0, 0, 0], [0, 0, 0, np.nan], [np.inf, 0, 0, 0], [[0, 0, 0, 0]]])
def test_a_wrong_action_is_refused(action):
    env = make_env("tabletop", "reach")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="4 finite numbers"):
        env.step(np.array(action, np.float32))


def test_actions_beyond_one_count_as_one():
    env = make_env("tabletop", "reach")
    env.reset(seed=0)
    much = env.step(np.array([9, 0, 0, 0], np.float32))[0]["state"]
    env.reset(seed=0)
    assert np.array_equal(much, env.step(np.array([1, 0, 0, 0], np.float32))[0]["state"])


def test_environments_of_one_process_do_not_disturb_each_other():
    one, other = make_env("tabletop", "reach"), make_env("tabletop", "reach")
    alone = play(one, 4, 20)
    rng = np.random.default_rng(4)
    states = [one.reset(seed=4)[0]["state"]]
    other.reset(seed=9)
    for _ in range(20):
        action = wander(rng)
        states.append(one.step(action)[0]["state"])
        other.step(-action)
    assert np.array_equal(states, alone)


def test_the_expert_is_a_function_of_the_state():
    env = make_env("tabletop", "peg-green")
    expert, other = scripted_expert("tabletop", "peg-green"), scripted_expert("tabletop", "peg-green")
    state = env.reset(seed=6)[0]["state"]
    for _ in range(10):
        action = expert(state)
        assert action.dtype == np.float32
        assert np.array_equal(action, other(state))
        state = env.step(action)[0]["state"]
