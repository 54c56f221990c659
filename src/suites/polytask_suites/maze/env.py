"""Mazes on a grid with several goals, many at once; the maze and the goal of a task stand in the suite's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from polytask_suites.batch import BatchEnv, Floats, Indices, Picture, Vector, Which
from polytask_suites.task import SuiteConfig, SuiteError, Task

SIZE = 9
"""Rows and columns of every maze."""
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns that an action goes: up, right, down, left."""
STATE_NAMES: tuple[str, ...] = ("row", "column")

_FLOOR, _WALL, _START, _GOAL, _OTHER, _SELF = (
    np.array(colour, np.uint8)
    for colour in ((244, 241, 234), (74, 85, 96), (205, 222, 237), (76, 160, 92), (201, 222, 203), (214, 84, 61))
)


class MazeEnv(BatchEnv):
    """Walk to the task's goal.

    Observation: float32 (2,), the row and column where one is, from 0; the goal is not in it. :func:`cells` makes one
    number of the two, for agents with tables. Action: 0 to 3, see ``MOVES``; a move against a wall stays. Reward: 1 on
    arriving, else 0. An episode starts on one of the maze's start cells.
    """

    suite = "maze"
    called = "the maze"
    state_names = STATE_NAMES

    def __init__(self, config: SuiteConfig, tasks: Sequence[str]) -> None:
        """See BatchEnv. Raises SuiteError for a maze that is no square of ``SIZE``, or that lacks start or goal."""
        super().__init__(config, tasks)
        self._declare_spaces(spaces.Discrete(len(MOVES)))
        self._grids = [grid(task) for task in config.tasks.values()]
        self._starts = [np.flatnonzero(cells == "S") for cells in self._grids]
        self._goals = np.array(
            [
                np.flatnonzero(g == t.parameters["goal"])[0]
                for g, t in zip(self._grids, config.tasks.values(), strict=True)
            ]
        )
        self._next = np.stack([_moves(cells) for cells in self._grids])
        self.cell: Indices = np.zeros(self.num_envs, np.int64)
        """int64 (B,): where each is, see :func:`cells`."""

    def _begin(self, which: Indices) -> None:
        for i in which:
            starts = self._starts[self.task_index[i]]
            self.cell[i] = starts[int(self.random[i].random() * len(starts))]

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[Vector, npt.NDArray[np.bool_]]:
        self.cell = self._next[self.task_index, self.cell, actions]
        success = self.cell == self._goals[self.task_index]
        return success.astype(np.float64), success

    def _observe(self, which: Which) -> Floats:
        return np.stack(np.divmod(self.cell[which], SIZE), axis=1).astype(np.float32)

    def draw(self, index: int, width: int, height: int) -> Picture:
        """The maze from above: walls, start cells, the goal, the other tasks' goals in pale, and the walker."""
        task = int(self.task_index[index])
        cells = self._grids[task]
        letters = (cells >= "A") & (cells <= "Z") & (cells != "S")
        picture = np.where((cells == "#")[..., None], _WALL, _FLOOR)
        picture[cells == "S"] = _START
        picture[letters] = _OTHER
        picture.reshape(-1, 3)[self._goals[task]] = _GOAL
        rows, columns = (np.arange(size) * SIZE // size for size in (height, width))
        large: Picture = picture[rows][:, columns]
        row, column = divmod(int(self.cell[index]), SIZE)
        middle = [
            np.abs((np.arange(size) + 0.5) * SIZE / size - at - 0.5) for size, at in ((height, row), (width, column))
        ]
        large[np.hypot(middle[0][:, None], middle[1]) < 0.36] = _SELF
        return large


def cells(states: Floats) -> Indices:
    """The cell int64 (...), ``SIZE * row + column``, of observations float32 (..., 2)."""
    found: Indices = (SIZE * states[..., 0] + states[..., 1]).astype(np.int64)
    return found


def grid(task: Task) -> npt.NDArray[np.str_]:
    """The characters (SIZE, SIZE) of a task's maze. Raises SuiteError where it does not fit."""
    lines = str(task.parameters["maze"]).split()
    if [len(line) for line in lines] != [SIZE] * SIZE:
        raise SuiteError(f"task {task.name!r}: its maze must be {SIZE} lines of {SIZE} cells")
    cells = np.array([list(line) for line in lines])
    goal = task.parameters["goal"]
    if not (cells == "S").any() or (cells == goal).sum() != 1 or goal in ("S", "#", "."):
        raise SuiteError(f"task {task.name!r}: its maze needs a start, S, and its goal {goal!r} once, a letter")
    return cells


def _moves(cells: npt.NDArray[np.str_]) -> Indices:
    """int64 (cells, moves): where a move from a cell leads."""
    free = np.pad(cells != "#", 1)
    table = np.empty((SIZE, SIZE, len(MOVES)), np.int64)
    for row, column, (move, (down, right)) in (
        (r, c, m) for r in range(SIZE) for c in range(SIZE) for m in enumerate(MOVES)
    ):
        there = (row + down, column + right) if free[row + down + 1, column + right + 1] else (row, column)
        table[row, column, move] = SIZE * there[0] + there[1]
    return table.reshape(SIZE * SIZE, len(MOVES))
