"""The scripted expert: the oracle plan's stage, and ways planned on the grid; a function of the state alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask_suites.batch import Vector
from polytask_suites.pocket_house import layout, plan
from polytask_suites.pocket_house.env import STATE_NAMES
from polytask_suites.pocket_house.layout import OPEN, REACH
from polytask_suites.pocket_house.maps import COARSE, MARGIN, cell, clear, maps, middles
from polytask_suites.pocket_house.world import SPEED, TURN
from polytask_suites.task import load_suite

_KNOWN = np.concatenate([layout.SPOTS, layout.CONTENTS])
_LOOKAHEAD = 0.8
"""Metres to the places between which the next one is chosen."""
_HERE = 0.05
"""Metres from a place at which the base is there."""
_LAST = 0.4
"""Metres from where the base is to stop, in which it goes straight there, and slides along what it touches."""
_FACE = 1.0
"""Metres from there within which it turns to what it will reach for."""
_NEAR = 0.12
"""Metres from an object or goal at which the hand closes or opens."""
_SURE = 0.02
"""Opening beyond what is needed."""
_LEAD = 0.12
"""Metres by which the hand goes ahead of a handle that it pulls."""
_CLOSE, _OPEN = 1.0, -1.0
_LET_GO = np.array([0.0, 0.0, 0.0, _OPEN], np.float32)


class PocketHouseExpert:
    """Does a task of the house; in a rearrangement, stage after stage."""

    def __init__(self, task: str) -> None:
        config = load_suite("pocket_house")
        trains = config.task(task).parameters["trains"]
        self._trained = plan.STAGES.index(trains) if trains in plan.STAGES else None
        self._index = {name: number for number, name in enumerate(STATE_NAMES)}
        self._period = 1.0 / config.control_rate

    def reset(self) -> None:
        """Nothing is remembered."""

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (4,) for a state float32 (36,)."""
        self._look(state.astype(np.float64))
        now = self._stage() if self._trained is None else self._trained
        if now in (plan.OPEN_FRIDGE, plan.OPEN_CABINET):
            return self._open(0 if now == plan.OPEN_FRIDGE else 1)
        return self._put() if now == plan.PLACE else self._take()

    def _look(self, state: Vector) -> None:
        def of(*names: str) -> Vector:
            return np.array([state[self._index[name]] for name in names])

        self._base = of("base.x", "base.y")
        self._ahead = of("base.cos", "base.sin")
        self._left = np.array([-self._ahead[1], self._ahead[0]])
        self._hand = self._base + REACH * self._ahead
        self._has_object, self._has_handle = of("gripper.object", "gripper.handle") > 0.5
        self._opening = of("fridge.opening", "cabinet.opening")[None]
        self._handles, self._ways = (values[0] for values in layout.handles(self._opening))
        self._thing, self._goal = (
            self._hand + of(f"{name}.x") * self._ahead + of(f"{name}.y") * self._left for name in ("object", "goal")
        )

    def _stage(self) -> int:
        """The plan's, from where the object is."""
        if self._has_object:
            return plan.PLACE
        place = self._nearest(self._thing)
        if place < len(layout.SPOTS):
            return plan.PICK
        container = place - len(layout.SPOTS)
        opened = self._opening[0, container] > OPEN + _SURE
        return ((plan.OPEN_FRIDGE, plan.PICK_FROM_FRIDGE), (plan.OPEN_CABINET, plan.PICK))[container][int(opened)]

    def _open(self, container: int) -> npt.NDArray[np.float32]:
        handle, facing = self._handles[container], float(layout.FACING[container])
        if not self._has_handle:
            return self._go(handle, facing, _CLOSE)
        if int(np.argmin(((self._handles - self._hand) ** 2).sum(axis=1))) != container:
            return _LET_GO
        return self._move(_beside(handle + _LEAD * self._ways[container], facing), facing, _CLOSE)

    def _take(self) -> npt.NDArray[np.float32]:
        if self._has_handle:
            return _LET_GO
        facing = float(_KNOWN[self._nearest(self._thing), 2])
        return self._go(self._thing, facing, _CLOSE if self._at(self._thing) else _OPEN)

    def _put(self) -> npt.NDArray[np.float32]:
        facing = float(_KNOWN[self._nearest(self._goal), 2])
        return self._go(self._goal, facing, _OPEN if self._at(self._goal) else _CLOSE)

    def _at(self, place: Vector) -> bool:
        return bool(np.linalg.norm(self._hand - place) < _NEAR)

    @staticmethod
    def _nearest(place: Vector) -> int:
        """Which of the known places it is."""
        return int(np.argmin(((_KNOWN[:, :2] - place) ** 2).sum(axis=1)))

    def _go(self, place: Vector, facing: float, gripper: float) -> npt.NDArray[np.float32]:
        """Brings the hand to a place: of what can be gone to straight, to that from which the rest is shortest."""
        to = _beside(place, facing)
        way = float(np.linalg.norm(to - self._base))
        if way > _LAST and (way > _LOOKAHEAD or not self._straight(to[None])[0]):
            ways = maps().ways[int(self._opening[0, 0] >= OPEN), cell(to[None], COARSE)[0]]
            first = np.linalg.norm(middles(COARSE) - self._base, axis=1)
            near = np.flatnonzero((first > _HERE) & (first < _LOOKAHEAD))
            total = first[near] + ways[near]
            total[~self._straight(middles(COARSE)[near])] += 100.0
            to, way = middles(COARSE)[near[np.argmin(total)]], float(total.min())
        return self._move(to, facing if way < _FACE else None, gripper)

    def _straight(self, places: Vector) -> npt.NDArray[np.bool_]:
        """Whether the base can drive straight to places (k, 2) within _LOOKAHEAD, bool (k,)."""
        shares = np.linspace(0.2, 1.0, 5)[:, None, None]
        between = self._base + shares * (places - self._base)
        free = clear(between.reshape(-1, 2), self._opening[:, 0], -MARGIN).reshape(len(shares), -1)
        straight: npt.NDArray[np.bool_] = np.logical_and.reduce(free)
        return straight

    def _move(self, to: Vector, facing: float | None, gripper: float) -> npt.NDArray[np.float32]:
        """Drives straight to a place, turning to ``facing``, or else to where it goes."""
        off = to - self._base
        if facing is None:
            facing = float(np.arctan2(off[1], off[0])) if off.any() else 0.0
        heading = float(np.arctan2(self._ahead[1], self._ahead[0]))
        turn = (facing - heading + np.pi) % (2.0 * np.pi) - np.pi
        turn = float(np.clip(turn / (TURN * self._period), -1.0, 1.0))
        # The base turns while it drives: the middle of the turn is what counts.
        middle = heading + 0.5 * turn * TURN * self._period
        ahead = np.cos(middle) * off[0] + np.sin(middle) * off[1]
        left = np.cos(middle) * off[1] - np.sin(middle) * off[0]
        speeds = np.array([ahead, left]) / (SPEED * self._period)
        speeds /= max(1.0, float(np.abs(speeds).max()))
        return np.array([*speeds, turn, gripper], np.float32)


def _beside(place: Vector, facing: float) -> Vector:
    """Where the base is that looks in that direction with its hand there."""
    stand: Vector = place - REACH * layout.ahead(np.array([facing]))[0]
    return stand
