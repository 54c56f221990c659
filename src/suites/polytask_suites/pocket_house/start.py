"""Start states of episodes, from the suite's file and random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from polytask_suites.batch import Indices, Vector
from polytask_suites.pocket_house import geometry, layout
from polytask_suites.pocket_house.layout import CABINET, FRIDGE, NOTHING, OBJECT, OPEN, REACH
from polytask_suites.pocket_house.maps import COARSE, cell, maps, middles
from polytask_suites.pocket_house.plan import DONE, OPEN_CABINET, OPEN_FRIDGE, PICK_FROM_FRIDGE, PLACE, STAGES
from polytask_suites.task import SuiteConfig, SuiteError, Task

_REWARDS = ("progress", "stage", "success", "step")
_NEARBY = 1.5
"""Metres of way from where a stage takes place that count as near."""
_BEFORE_FRIDGE = (1.8, 1.6)
"""Where a base is put that would be in an open door otherwise."""
_TURNED = 0.6
"""rad by which a robot that holds a handle may be turned."""


class Starts:
    """The tasks' beginnings."""

    numbers = 18
    """Random numbers in [0, 1) that one beginning takes."""

    def __init__(self, config: SuiteConfig) -> None:
        """Raises SuiteError for a task whose parameters do not fit."""
        tasks = list(config.tasks.values())
        self.trained: Indices = np.array([_trained(task) for task in tasks])
        """int64 (tasks,): the stage that a task trains; DONE for a whole rearrangement."""
        self.rewards = np.array([[float(task.parameters["rewards"][name]) for name in _REWARDS] for task in tasks])
        """float64 (tasks, 4): for a metre of progress, a part that is done, success, and every step."""
        self._object = np.array([_shares(task) for task in tasks]).cumsum(axis=1)
        self._near, self._gripped, self._others_open = (
            np.array([float(task.parameters.get(name, 0.0)) for task in tasks])
            for name in ("near", "gripped", "others_open")
        )
        house = maps()
        rooms = [list(task.parameters.get("rooms", layout.ROOMS)) for task in tasks]
        self._anywhere = [house.starts[np.isin(house.rooms, names)] for names in rooms]
        # Starting cells by their way from each cell, and how many of them are near.
        ways = house.ways[0][:, house.starts]
        self._by_way = house.starts[np.argsort(ways, axis=1, kind="stable")]
        self._nearby = np.maximum((ways < _NEARBY).sum(axis=1), 1)

    def __call__(self, task: Indices, drawn: Vector) -> dict[str, npt.NDArray[Any]]:
        """Beginnings of tasks (B,) from random numbers (B, ``numbers``): the world's arrays by name."""
        numbers = iter(drawn.T)
        trained = self.trained[task]
        # The object lies in the open, in fridge or cabinet; it is to go to another spot.
        place = (next(numbers)[:, None] >= self._object[task, :2]).sum(axis=1)
        inside = np.array([NOTHING, FRIDGE, CABINET])[place]
        spots = len(layout.SPOTS)
        spot = (next(numbers) * spots).astype(np.int64)
        other = (spot + 1 + (next(numbers) * (spots - 1)).astype(np.int64)) % spots
        known = np.concatenate([layout.SPOTS, layout.CONTENTS])[np.where(place > 0, spots - 1 + place, spot)]
        thing, goal = (
            places[:, :2] + layout.SCATTER * (2.0 * np.stack([next(numbers), next(numbers)], axis=1) - 1.0)
            for places in (known, layout.SPOTS[other])
        )
        beside_thing, beside_goal = _beside(known), _beside(layout.SPOTS[other])

        # A container is open where taking out of it comes next or came before, shut where it is to be opened, and else
        # open by chance, so that what is open does not say what the task is.
        opened = np.stack([next(numbers), next(numbers)], axis=1) < self._others_open[task, None]
        later = (trained >= PICK_FROM_FRIDGE) & (trained <= PLACE)
        for column, (container, opening_it) in enumerate(((FRIDGE, OPEN_FRIDGE), (CABINET, OPEN_CABINET))):
            opened[later & (inside == container), column] = True
            opened[trained == opening_it, column] = False
        wide = OPEN + (1.0 - OPEN) * np.stack([next(numbers), next(numbers)], axis=1)
        opening = np.where(opened, wide, 0.0)
        places = layout.handles(opening)[0]

        # The base is near to where the stage takes place, or else anywhere; with an object in hand, where it took that.
        aim = np.where(trained == PLACE, beside_goal, beside_thing)
        shut = layout.handles(np.zeros((1, 2)))[0][0]
        at_handles = _beside(np.column_stack([shut, layout.FACING]))
        for column, opening_it in enumerate((OPEN_FRIDGE, OPEN_CABINET)):
            aim[trained == opening_it] = at_handles[column]
        at, share, turn = next(numbers), next(numbers), next(numbers)
        cells = [self._anywhere[one] for one in task]
        anywhere = np.array([some[int(number * len(some))] for some, number in zip(cells, at, strict=True)])
        near, there = (self._by_way[to, (at * self._nearby[to]).astype(np.int64)] for to in (aim, beside_thing))
        else_at = np.where(trained == PLACE, there, anywhere)
        start = middles(COARSE)[np.where(share < self._near[task], near, else_at)]
        base = start + COARSE * (np.stack([next(numbers), next(numbers)], axis=1) - 0.5)
        heading = 2.0 * np.pi * turn - np.pi

        # Or it still holds the handle that it has pulled.
        taking = later & (trained != PLACE) & (inside != NOTHING)
        gripping = taking & (next(numbers) < self._gripped[task])
        column = np.maximum(inside - FRIDGE, 0)
        turned = layout.FACING[column] + _TURNED * (2.0 * turn - 1.0)
        at_handle = places[np.arange(len(task)), column] - REACH * layout.ahead(turned)
        base, heading = np.where(gripping[:, None], at_handle, base), np.where(gripping, turned, heading)
        in_door = geometry.length(geometry.from_segment(base, layout.HINGE, places[:, 0])) < layout.RADIUS
        base[in_door] = _BEFORE_FRIDGE
        held = np.where(trained == PLACE, OBJECT, np.where(gripping, inside, NOTHING))
        return {
            "base": base, "heading": heading, "opening": opening, "held": held, "thing": thing, "goal": goal,
            "inside": np.where(trained == PLACE, NOTHING, inside),
            "beside_thing": beside_thing, "beside_goal": beside_goal,
        }  # fmt: skip


def _beside(places: Vector) -> Indices:
    """The coarse cells (B,) where a base stands whose hand is at places (B, 3): x, y, direction."""
    return cell(places[:, :2] - REACH * layout.ahead(places[:, 2]), COARSE)


def _shares(task: Task) -> list[float]:
    shares = [float(task.parameters["object"].get(place, 0.0)) for place in ("open", "fridge", "cabinet")]
    if abs(sum(shares) - 1.0) > 1e-9:
        raise SuiteError(f"pocket_house task {task.name!r}: the shares of 'object' must add up to 1")
    return shares


def _trained(task: Task) -> int:
    name = str(task.parameters["trains"])
    if name == "all":
        return DONE
    if name not in STAGES[:DONE]:
        raise SuiteError(f"pocket_house task {task.name!r}: 'trains' is {name!r}, not 'all' or one of {STAGES[:DONE]}")
    return STAGES.index(name)
