"""The house: what moves, what blocks, what is observed and rewarded; the same alone and in a batch."""

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import check_env

from polytask_suites import SuiteError, load_suite, make_env
from polytask_suites.benchmarks.batch import measure
from polytask_suites.pocket_house import geometry, layout, plan
from polytask_suites.pocket_house.env import STATE_NAMES
from polytask_suites.pocket_house.layout import CABINET, FRIDGE, NOTHING, OBJECT, RADIUS
from polytask_suites.pocket_house.maps import COARSE, SIGHT, SOLID, cell, maps
from polytask_suites.registry import make_batch

TASKS = tuple(load_suite("pocket_house").tasks)
AUXILIARY = load_suite("pocket_house").lists["auxiliary"]
STILL, FORWARD, BACK, CLOSE, OPEN = np.zeros(4), [1, 0, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, -1]


def house(task="rearrange-hard", **state):
    """A batch of one with parts of its state replaced."""
    batch = make_batch("pocket_house", [task])
    batch.reset(seed=0)
    world = batch.world
    for name, value in state.items():
        getattr(world, name)[0] = value
    world.begin(np.array([0]), {})
    return batch, world


def grip(batch, action):
    """Close the hand, or open it: at full speed that takes two steps to take effect. What the last one gave."""
    batch._play(np.array([action]))
    return batch._play(np.array([action]))


def entries(batch, *names):
    state = batch._observe(slice(None))[0]
    return np.array([state[STATE_NAMES.index(name)] for name in names])


@pytest.mark.filterwarnings("ignore:.*Box observation space.*infinity.*")
def test_gymnasiums_checker_is_content():
    env = gymnasium.make("pocket_house/rearrange-hard", cameras=True, render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.observation_space["camera"].shape == (120, 160, 3)


def test_a_batch_goes_through_the_steps_of_single_environments():
    """Also after automatic resets, whoever is beside it."""
    tasks = [TASKS[i % len(TASKS)] for i in range(9)]
    batch, alone = make_batch("pocket_house", tasks), [make_batch("pocket_house", [task]) for task in tasks]
    together, _ = batch.reset(seed=4)
    singles = [one.reset(seed=4 + i)[0] for i, one in enumerate(alone)]
    assert np.array_equal(together, np.concatenate(singles))
    rng, ended = np.random.default_rng(1), 0
    for _ in range(125):
        actions = rng.uniform(-1, 1, (9, 4)).astype(np.float32)
        *outcome, info = batch.step(actions)
        separate = [one.step(action[None]) for one, action in zip(alone, actions, strict=True)]
        for i, values in enumerate(outcome):
            assert np.array_equal(values, np.concatenate([one[i] for one in separate]))
        for name in ("success", "final_obs", "_final_obs", "stage", "final_stage"):
            assert np.array_equal(info[name], np.concatenate([one[-1][name] for one in separate])), name
        ended += info["_final_obs"].sum()
    assert ended >= 7


def test_starts_are_free_and_near_what_the_task_is_about():
    for task in TASKS:
        batch = make_batch("pocket_house", [task] * 300)
        batch.reset(seed=0)
        world = batch.world
        door = layout.handles(world.opening)[0][:, 0]
        assert geometry.length(geometry.from_boxes(world.base, SOLID)).min() >= RADIUS
        assert geometry.length(geometry.from_segment(world.base, layout.HINGE, door)).min() >= RADIUS
        assert not batch._success(plan.stage(world, slice(None))).any(), "what is held is not yet placed"
        if task != "place":  # where a hand that holds the object may happen to be over the goal
            assert geometry.length(world.thing - world.goal).min() > plan.THERE
        stages = {plan.STAGES[number] for number in plan.stage(world, slice(None))}
        if task == "rearrange-hard":
            assert stages == {"open-fridge", "open-cabinet"}
            assert not ((world.base > (-0.45, 0.0)).all(axis=1)).any(), "it begins outside of the kitchen"
        elif task == "rearrange-easy":
            assert stages == {"pick"}
        else:
            told = batch._told(slice(None))["stage"]
            assert {plan.STAGES[number] for number in told} == {task}
            assert stages == {task} or task.startswith("open")
            assert (batch._to_go < 5.0).mean() > 0.3


def test_walls_furniture_and_an_open_door_block_the_base():
    rng = np.random.default_rng(0)
    batch = make_batch("pocket_house", ["pick-from-fridge"] * 200)
    batch.reset(seed=1)
    before = batch.world.base.copy()
    going = rng.uniform(-1, 1, (200, 4))
    for _ in range(50):
        batch._play(going)
        world = batch.world
        door = layout.handles(world.opening)[0][:, 0]
        assert geometry.length(geometry.from_boxes(world.base, SOLID)).min() > RADIUS - 1e-5
        assert geometry.length(geometry.from_segment(world.base, layout.HINGE, door)).min() > RADIUS - 1e-5
    assert geometry.length(world.base - before).max() > 2.0


def test_a_base_slides_along_a_wall_but_not_through():
    batch, world = house(base=(-1.2, 0.5), heading=0.6)
    for _ in range(30):
        batch._play(np.array([FORWARD]))
    assert world.base[0, 0] == pytest.approx(-0.55 - RADIUS)
    assert world.base[0, 1] > 1.4


def test_the_hand_does_not_reach_through_walls():
    _, world = house(base=(-0.85, 1.0), heading=0.0)
    assert world.hand[0] == pytest.approx((-0.55, 1.0))


def test_the_fridge_opens_when_its_handle_is_pulled_and_only_then_gives_what_is_inside():
    batch, world = house(inside=FRIDGE, thing=(1.6, 2.53), base=(1.6, 2.05), heading=np.pi / 2)
    for _ in range(3):
        batch._play(np.array([CLOSE]))
    assert world.held[0] == NOTHING, "the door is shut"
    assert world.hand[0] == pytest.approx(world.thing[0], abs=0.03)
    assert plan.stage(world, slice(None))[0] == plan.OPEN_FRIDGE

    for _ in range(3):
        batch._play(np.array([OPEN]))
    world.base[0] = (2.0, 1.85)
    batch._play(np.array([CLOSE]))
    assert world.held[0] == NOTHING, "the hand is not half closed"
    assert entries(batch, "gripper.closed")[0] == pytest.approx(0.4)
    batch._play(np.array([CLOSE]))
    assert world.held[0] == FRIDGE
    for _ in range(4):
        batch._play(np.array([BACK]))
    assert 0.2 < world.opening[0, 0] < layout.OPEN
    assert entries(batch, "gripper.handle", "gripper.object").tolist() == [1, 0]
    grip(batch, OPEN)
    left_at = world.opening[0, 0]
    for _ in range(3):
        batch._play(np.array([BACK]))
    assert world.opening[0, 0] == left_at, "nobody pulls any more"

    world.opening[0, 0] = layout.OPEN
    world.base[0] = (1.6, 2.05)
    assert plan.stage(world, slice(None))[0] == plan.PICK_FROM_FRIDGE
    grip(batch, CLOSE)
    assert world.held[0] == OBJECT
    assert world.inside[0] == NOTHING


def test_a_handle_slips_out_of_a_hand_that_goes_elsewhere():
    batch, world = house(base=(2.95, 1.75), heading=0.0)
    grip(batch, CLOSE)
    assert world.held[0] == CABINET
    for _ in range(4):
        batch._play(np.array([[0, -1, 0, 0]]))
    assert world.opening[0, 1] == pytest.approx(1.0)
    assert world.held[0] == CABINET
    for _ in range(3):
        batch._play(np.array([BACK]))
    assert world.held[0] == NOTHING
    assert world.opening[0, 1] == pytest.approx(1.0)


def test_an_object_is_placed_when_it_is_let_go_at_its_goal():
    base = (2.2, -2.1)
    beside = cell(np.array([base]), COARSE)[0]
    batch, world = house("place", held=OBJECT, goal=(2.2, -2.6), beside_goal=beside, base=base, heading=-np.pi / 2)
    assert not batch._play(np.array([STILL]))[1][0]
    reward, success, _ = grip(batch, OPEN)
    assert success[0]
    assert reward[0] == pytest.approx(5.0 - 0.02, abs=0.2)
    assert batch._told(slice(None))["stage"][0] == plan.DONE
    assert world.held[0] == NOTHING


def test_what_was_dropped_elsewhere_can_be_taken_again():
    batch, world = house("rearrange-hard", held=OBJECT, inside=NOTHING, base=(-2.5, -0.8), heading=0.0)
    grip(batch, OPEN)
    assert plan.stage(world, slice(None))[0] == plan.PICK
    assert plan.to_go(world, slice(None), np.array([plan.PICK]))[0] < 0.3
    grip(batch, CLOSE)
    assert world.held[0] == OBJECT


def test_places_are_seen_from_the_hand_and_the_scan_from_the_base():
    batch, world = house(base=(2.0, 1.85), heading=np.pi / 2, goal=(1.0, 2.85))
    assert entries(batch, "fridge_handle.x", "fridge_handle.y") == pytest.approx([0, 0], abs=1e-6)
    assert entries(batch, "goal.x", "goal.y") == pytest.approx([0.5, 1.0])
    scan = entries(batch, *STATE_NAMES[:16])
    assert scan[0] == pytest.approx(0.5, abs=0.1), "the fridge's front"
    assert scan[4] == pytest.approx(2.45, abs=0.1), "the bedroom's wall, to the left"
    assert scan.max() <= SIGHT
    world.heading[0] = 0.0
    assert entries(batch, *STATE_NAMES[:16])[4:] == pytest.approx(scan[:12], abs=1e-6)
    world.opening[0, 0], world.base[0] = 1.0, (0.3, 1.9)
    assert entries(batch, "scan.00")[0] == pytest.approx(0.74, abs=0.1), "the open door"


def test_ways_lead_round_walls():
    assert np.isfinite(maps().ways).all()
    bed, desk, opened = np.array([[-2.1, 1.5]]), np.array([[2.1, -2.1]]), np.array([False])
    way = maps().way(bed, cell(desk, COARSE), opened)[0]
    assert way > geometry.length(bed - desk)[0] + 0.5
    assert maps().way(desk, cell(bed, COARSE), opened)[0] == pytest.approx(way, abs=0.3)


def test_the_dense_reward_sums_to_the_way_that_was_covered():
    batch = make_batch("pocket_house", AUXILIARY)
    batch.reset(seed=2)
    first, total = batch._to_go.copy(), np.zeros(len(AUXILIARY))
    rng = np.random.default_rng(0)
    for _ in range(25):
        reward, success, _ = batch._play(rng.uniform(-1, 1, (len(AUXILIARY), 4)))
        total += reward + 0.02 - 5.0 * success
    assert total == pytest.approx(first - batch._to_go)


def test_a_whole_rearrangement_is_rewarded_once_for_each_part():
    batch, world = house("rearrange-hard", inside=CABINET, thing=(3.63, 1.5), base=(2.95, 1.75), heading=0.0)
    rewards = [batch._play(np.array([action]))[0][0] for action in (CLOSE, CLOSE, *[[0, -1, 0, 0]] * 4)]
    assert sum(rewards) == 1.0
    assert rewards[0] == 0.0
    rewards = [batch._play(np.array([action]))[0][0] for action in [[0, 1, 0, 0]] * 4 + [[0, -1, 0, 0]] * 4]
    assert world.opening[0, 1] > layout.OPEN
    assert sum(rewards) == 0.0, "opening it again is worth nothing"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"trains": "cooking"}, "'trains' is 'cooking'"), ({"object": {"open": 0.5}}, "must add up to 1")],
)
def test_a_task_that_makes_no_sense_is_refused(tmp_path, change, complaint):
    parameters = {
        "trains": "pick",
        "object": {"open": 1.0},
        "rewards": {"progress": 0, "stage": 0, "success": 1, "step": 0},
    }
    data = {
        "control_rate": 5,
        "horizon": 10,
        "camera": {"name": "above", "width": 40, "height": 30},
        "tasks": {"mine": {"description": "d", "phrases": ["do"], "parameters": parameters | change}},
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(SuiteError, match=complaint):
        make_env("pocket_house", "mine", config=file)


def test_a_picture_shows_the_object_only_where_it_is():
    batch, world = house(inside=NOTHING, thing=(-2.6, -1.0), base=(2.0, -1.0))
    picture = batch.draw(0, 320, 240)
    assert picture.shape == (240, 320, 3)
    column, row = round((-2.6 + 4) * 40), round((3 + 1.0) * 40)
    there = picture[row, column].astype(int)
    assert there[0] - there[1] > 100, "red"
    world.thing[0] = (-1.4, -0.6)
    assert np.abs(batch.draw(0, 320, 240)[row, column].astype(int) - there).max() > 50


def test_many_houses_together_are_much_quicker_than_one_after_another():
    assert measure("pocket_house", rounds=3, steps=3)["ratio"] > 15
