"""The ten tasks of the paper's real arm on one table: one start for all, the jug, the grains, the experts."""

import numpy as np
import pytest

from polytask_suites import load_suite, make_env, scripted_expert
from polytask_suites.tabletop.tasks import SUCCESS_PREDICATES

SUITE = "tabletop_ten"
TASKS = tuple(load_suite(SUITE).tasks)
TABLE_VII = {
    *("peg-green", "peg-yellow", "peg-blue", "reach", "pour-1", "pour-2"),
    *("box-open-left", "box-open-right", "drawer-close-left", "drawer-close-right"),
}


@pytest.fixture(scope="module")
def env():
    return make_env(SUITE, "reach")


def entry(env, state, name):
    return float(state[env.state_names.index(name)])


def done(state):
    return {name for name, judge in SUCCESS_PREDICATES[SUITE].items() if judge(state)[0]}


def run(env, task, seed):
    """The steps that the script took, or None, and the last state."""
    expert = scripted_expert(SUITE, task)
    observation, _ = env.reset(seed=seed, options={"task": task})
    for step in range(env.horizon):
        observation, _, _, _, info = env.step(expert(observation["state"]))
        if info["success"]:
            return step + 1, observation["state"]
    return None, observation["state"]


def test_these_are_the_ten_tasks_with_sentences_that_tell_them_apart():
    assert set(TASKS) == TABLE_VII
    taught = [sentence for task in load_suite(SUITE).tasks.values() for sentence in task.instructions]
    assert len(set(taught)) == len(taught)
    assert all(len(task.instructions) >= 12 for task in load_suite(SUITE).tasks.values())


def test_the_start_depends_on_the_seed_alone_and_nothing_is_done_or_moves(env):
    for seed in range(30):
        start = env.reset(seed=seed, options={"task": TASKS[seed % len(TASKS)]})[0]["state"]
        assert np.array_equal(start, env.reset(seed=seed, options={"task": "reach"})[0]["state"])
        assert not done(start)
        assert entry(env, start, "jug.grains") == 1.0
        assert np.abs(env.data.qvel).max() < 1e-6
    assert not np.array_equal(start, env.reset(seed=0)[0]["state"])


def test_an_idle_arm_leaves_all_where_it_was(env):
    start = env.reset(seed=5)[0]["state"]
    for _ in range(60):
        state = env.step(np.zeros(4, np.float32))[0]["state"]
    still = [i for i, name in enumerate(env.state_names) if "velocity" not in name and "rate" not in name]
    np.testing.assert_allclose(state[still], start[still], atol=6e-3)


def test_the_grains_stay_in_the_jug_at_full_speed(env):
    rng = np.random.default_rng(0)
    for seed in range(4):
        env.reset(seed=seed)
        for step in range(60):
            if step % 6 == 0:
                action = np.append(rng.choice([-1.0, 1.0], 3), -1.0).astype(np.float32)
            state = env.step(action)[0]["state"]
            assert entry(env, state, "jug.grains") == 1.0


def test_the_jug_tilts_with_the_open_gripper_and_pours_beside_the_bowls(env):
    env.reset(seed=2, options={"task": "pour-1"})
    for _ in range(60):
        state, _, _, _, info = env.step(np.array([0, 0, 0, 1], np.float32))
    state = state["state"]
    assert entry(env, state, "jug.tilt") == pytest.approx(2.1, abs=0.05)
    assert entry(env, state, "jug.grains") == 0.0
    assert not info["success"]
    for _ in range(60):
        state = env.step(np.array([0, 0, 0, -1], np.float32))[0]["state"]
    assert entry(env, state, "jug.tilt") == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("task", "entries", "expected"),
    [
        ("pour-1", {"bowl_1.grains": 0.75}, True),
        ("pour-1", {"bowl_1.grains": 0.5}, False),
        ("pour-1", {"bowl_2.grains": 1.0}, False),
        ("pour-2", {"bowl_2.grains": 0.75}, True),
        ("box-open-left", {"lid_left.angle": 1.06}, True),
        ("box-open-left", {"lid_right.angle": 1.06}, False),
        ("box-open-right", {"lid_right.angle": 1.06}, True),
        ("drawer-close-left", {"drawer_left.opening": 0.014}, True),
        ("drawer-close-left", {"drawer_right.opening": 0.014}, False),
        ("drawer-close-right", {"drawer_right.opening": 0.014}, True),
        ("peg-blue", {"cup_blue.x": 0.0, "cup_blue.y": 0.0, "cup_blue.z": 0.03}, True),
        ("peg-green", {"cup_blue.x": 0.0, "cup_blue.y": 0.0, "cup_blue.z": 0.03}, False),
    ],
)
def test_predicates_tell_the_sides_apart(env, task, entries, expected):
    state = env.reset(seed=0)[0]["state"].copy()
    for name, value in entries.items():
        state[env.state_names.index(name)] = value
    assert SUCCESS_PREDICATES[SUITE][task](state)[0] is expected


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_its_task_on_fresh_seeds_and_no_other(env, task):
    lengths = []
    for seed in range(70_000, 70_006):
        length, state = run(env, task, seed)
        lengths.append(length)
        assert done(state) - {"reach"} == {task} - {"reach"}
    assert all(lengths), lengths
    assert max(lengths) <= 60


def test_the_small_table_is_as_it_was_before_it_shared_its_parts():
    """Its demonstrations, experts and figures hold only as long as the same seed gives the same episode."""
    env = make_env("tabletop", "reach")
    state, rng = env.reset(seed=3)[0]["state"], np.random.default_rng(3)
    np.testing.assert_allclose(state, START, atol=1e-6)
    for _ in range(40):
        action = np.clip(rng.normal([0, 0, -0.3, 0], 0.6), -1, 1).astype(np.float32)
        state = env.step(action)[0]["state"]
    np.testing.assert_allclose(state, WANDERED, atol=1e-4)


# Seed 3 of the small table, measured before.
START = [
    *(0.3868585, -0.0210538, 0.2240998, -0.0000066, -0.0000014, 0.0000021, 0, 0, 0),
    *(0, 0, -0.0750000, 0, -0.0209999, 0, 0, 0, 0.0150384),
    *(0.3148189, -0.1590998, 0.0663896, 0, 0.0304665, -0.2897842, -0.0930998, 0, 0),
    *(0.0298703, 0.1417374, -0.1330999, 0, 0, 0.0127029, 0.0218908, -0.1330999, 0),
    *(0, 0.0146729, -0.1146063, -0.1330999, 0, 0, 0.0807090, 0.2035607, -0.0386277),
]
# Seed 3 of the small table after 40 random steps, measured before.
WANDERED = [
    *(0.3832209, -0.0133172, 0.0618940, -0.0018830, -0.0000006, -0.0022428, -0.1884560, -0.0202560, -0.2074823),
    *(0, 0, -0.0648930, 0.0703778, -0.0033150, -0.0486597, -0.0198392, -0.1795268, 0.0186760),
    *(0.3070823, 0.0031060, 0.0663896, 0, 0.0340655, -0.2975208, 0.0690092, -0.0007743, 0),
    *(0.0234010, 0.0636230, 0.0113067, 0, 0, 0.0000899, -0.0578419, 0.0112878, -0.0000845),
    *(0.0005433, 0.0082035, -0.1927207, 0.0113067, 0, 0, 0.0843466, 0.1958241, 0.1235782),
]
