"""Mazes: their layout, moves, goals and pictures."""

import numpy as np
import pytest

from polytask_suites import EMBODIMENTS, SuiteError, load_suite, make_batch, make_env
from polytask_suites.maze.env import MOVES, SIZE, cells

TASKS = tuple(load_suite("maze").tasks)
UP, RIGHT, DOWN, LEFT = range(4)


def shortest(env, index):
    """Moves to the goal from each cell, by going back from it; -1 where there is no way."""
    goal, moves = env._goals[index], env._next[index]
    found = np.full(SIZE * SIZE, -1)
    found[goal], edge = 0, [goal]
    while edge:
        cell = edge.pop(0)
        for before in np.flatnonzero((moves == cell).any(axis=1)):
            if found[before] < 0:
                found[before] = found[cell] + 1
                edge.append(before)
    return found


def test_every_goal_can_be_reached_and_tasks_of_a_maze_share_all_but_the_goal():
    env = make_batch("maze", TASKS)
    for index, task in enumerate(TASKS):
        ways = shortest(env, index)[env._starts[index]]
        assert (ways > 0).all(), task
        assert ways.max() < load_suite("maze").tasks[task].horizon / 4
    for tasks in load_suite("maze").lists.values():
        places = [TASKS.index(task) for task in tasks]
        assert len({env._goals[place] for place in places}) == len(tasks)
        assert all(np.array_equal(env._next[place], env._next[places[0]]) for place in places)


def test_the_tasks_of_apart_share_their_start_alone():
    env = make_batch("maze", ["apart-a", "apart-b"])
    visited = []
    for index in map(TASKS.index, env.tasks):
        ways, cell = shortest(env, index), env._starts[index][0]
        visited.append({cell})
        while ways[cell]:
            cell = min(env._next[index][cell], key=lambda there: ways[there])
            visited[-1].add(cell)
    assert visited[0] & visited[1] == set(env._starts[TASKS.index("apart-a")])


def test_moves_walls_and_the_goal():
    env = make_env("maze", "zigzag-a")
    state = env.reset(seed=0)[0]["state"]
    assert env.state_names == ("row", "column")
    assert (state[0], state[1] in (1.0, 2.0)) == (0.0, True)
    assert cells(state) == env.batch.cell[0]
    assert np.array_equal(env.step(UP)[0]["state"], state), "the edge is a wall"
    assert np.array_equal(env.step(DOWN)[0]["state"], state), "so is #"
    assert env.step(RIGHT)[0]["state"][1] == state[1] + 1
    way = [RIGHT] * 6 + [DOWN] * 2 + [LEFT] * 6 + [DOWN] * 2 + [RIGHT] * 3 + [DOWN] * 2 + [LEFT] * 3 + [DOWN] * 2
    steps = [env.step(move) for move in way]
    assert [step[1] for step in steps] == [0.0] * (len(way) - 1) + [1.0]
    assert steps[-1][4]["success"]
    assert not steps[-1][2]


def test_a_batch_is_its_environments_one_by_one():
    tasks = [TASKS[i % len(TASKS)] for i in range(3 * len(TASKS))]
    actions = np.random.default_rng(0).integers(0, len(MOVES), (500, len(tasks)))
    batch = make_batch("maze", tasks)
    batch.reset(seed=5)
    together = [batch.step(row) for row in actions]
    assert sum(step[2].sum() for step in together) > 0
    for i, task in enumerate(tasks):
        one = make_batch("maze", [task])
        one.reset(seed=5 + i)
        for row, (observation, reward, terminated, truncated, info) in zip(actions, together, strict=True):
            alone = one.step(row[i : i + 1])
            assert np.array_equal(alone[0][0], observation[i])
            assert (alone[1][0], alone[2][0], alone[3][0]) == (reward[i], terminated[i], truncated[i])
            assert np.array_equal(alone[4]["final_obs"][0], info["final_obs"][i])


@pytest.mark.parametrize("action", [4, -1, 0.5, [0, 1]])
def test_what_is_no_move_is_refused(action):
    env = make_env("maze", "apart-a")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action of the maze is a whole number from 0 to 3"):
        env.step(action)


def test_a_picture_shows_where_one_is():
    env = make_env("maze", "hall-a", cameras=True)
    first = env.reset(seed=1)[0]["camera"]
    second = env.step(RIGHT)[0]["camera"]
    assert first.shape == (144, 144, 3)
    changed = np.argwhere((first != second).any(axis=2))
    assert changed.max(axis=0)[0] < 144 / SIZE, "only the first row of cells"
    assert not np.array_equal(make_env("maze", "hall-b").batch.draw(0, 90, 90), env.render(90, 90))


@pytest.mark.parametrize(
    ("maze", "goal", "complaint"),
    [("SA", "A", "9 lines of 9"), (".........\n" * 9, "A", "start"), ("S.......A\n" * 9, "A", "goal 'A' once")],
)
def test_a_wrong_maze_is_refused_with_its_task(tmp_path, maze, goal, complaint):
    file = tmp_path / "mine.yaml"
    lines = maze.replace("\n", "\\n")
    file.write_text(
        "control_rate: 10\nhorizon: 20\ncamera: {name: above, width: 9, height: 9}\n"
        f'tasks: {{mine: {{description: d, phrases: [go], parameters: {{maze: "{lines}", goal: {goal}}}}}}}\n'
    )
    with pytest.raises(SuiteError, match=f"'mine'.*{complaint}"):
        make_batch("maze", ["mine"], config=file)


def test_mazes_are_not_for_topics():
    with pytest.raises(SuiteError, match="discrete actions and no embodiment"):
        EMBODIMENTS["maze"]
