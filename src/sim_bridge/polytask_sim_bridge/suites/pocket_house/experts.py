"""The scripted expert: the oracle plan's stage, and ways planned on the grid; a function of the state alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.batch import Vector
from polytask_sim_bridge.suites.pocket_house.env import STATE_NAMES
from polytask_sim_bridge.suites.pocket_house.layout import CONTENTS, FACING, HINGE, OPEN, REACH, SPOTS, handles
from polytask_sim_bridge.suites.pocket_house.maps import COARSE, cell, maps, middles
from polytask_sim_bridge.suites.pocket_house.plan import (
    OPEN_CABINET,
    OPEN_FRIDGE,
    PICK,
    PICK_FROM_FRIDGE,
    PLACE,
    STAGES,
)
from polytask_sim_bridge.suites.pocket_house.world import SPEED, TURN
from polytask_sim_bridge.suites.task import load_suite

_INDEX = {name: number for number, name in enumerate(STATE_NAMES)}
_PERIOD = 0.2
_AHEAD = 0.45
"""Metres along its way at which the base aims."""
_CLOSE, _OPEN, _STAY = 1.0, -1.0, 0.0


class PocketHouseExpert:
    """Does a task of the house; in a rearrangement, stage after stage."""

    def __init__(self, task: str) -> None:
        trains = load_suite("pocket_house").task(task).parameters["trains"]
        self._trained = STAGES.index(trains) if trains in STAGES else None
        self._maps, self._places = maps(), middles(COARSE)

    def reset(self) -> None:
        """Nothing is remembered."""

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (4,) for a state float32 (36,)."""
        self._look(state)
        now = self._stage()
        if now in (OPEN_FRIDGE, OPEN_CABINET):
            return self._open(now)
        return self._take() if now in (PICK, PICK_FROM_FRIDGE) else self._put()

    def _look(self, state: npt.NDArray[np.float32]) -> None:
        value = {name: float(state[number]) for name, number in _INDEX.items()}
        self._base = np.array([value["base.x"], value["base.y"]])
        self._cosine, self._sine = value["base.cos"], value["base.sin"]
        self._closed, self._object, self._handle = (
            value[f"gripper.{name}"] > 0.5 for name in ("closed", "object", "handle")
        )
        self._opening = np.array([[value["fridge.opening"], value["cabinet.opening"]]])
        self._start, self._goal = (
            self._in_house(value[f"{name}.x"], value[f"{name}.y"]) for name in ("object_start", "goal")
        )

    def _in_house(self, ahead: float, left: float) -> Vector:
        """A place given from the outstretched hand, in the house."""
        ahead += REACH
        offset = [self._cosine * ahead - self._sine * left, self._sine * ahead + self._cosine * left]
        return self._base + np.array(offset)

    def _stage(self) -> int:
        if self._trained is not None:
            return self._trained
        if self._object:
            return PLACE
        for container, (shut, taking) in enumerate(((OPEN_FRIDGE, PICK_FROM_FRIDGE), (OPEN_CABINET, PICK))):
            if np.abs(self._start - CONTENTS[container, :2]).max() < 0.1:
                return taking if self._opening[0, container] >= OPEN else shut
        return PICK

    def _open(self, stage: int) -> npt.NDArray[np.float32]:
        container = (OPEN_FRIDGE, OPEN_CABINET).index(stage)
        places, ways = handles(self._opening)
        handle, way, facing = places[0, container], ways[0, container], FACING[container]
        if not self._handle:
            return self._go(handle, facing, _CLOSE)
        if self._held_container(places[0]) != container:
            return self._back(_OPEN)
        return self._move(handle + 0.12 * way - self._ahead(facing), facing, _CLOSE)

    def _held_container(self, places: Vector) -> int:
        hand = self._base + REACH * np.array([self._cosine, self._sine])
        return int(np.argmin(((places - hand) ** 2).sum(axis=1)))

    def _take(self) -> npt.NDArray[np.float32]:
        if self._handle:
            return self._back(_OPEN)
        facing = self._facing(self._start)
        hand = self._base + REACH * np.array([self._cosine, self._sine])
        near = float(np.hypot(*(hand - self._start))) < 0.12
        return self._go(self._start, facing, _CLOSE if near else _OPEN)

    def _put(self) -> npt.NDArray[np.float32]:
        hand = self._base + REACH * np.array([self._cosine, self._sine])
        near = float(np.hypot(*(hand - self._goal))) < 0.12
        return self._go(self._goal, self._facing(self._goal), _OPEN if near else _STAY)

    def _facing(self, place: Vector) -> float:
        """Where a robot looks whose hand is there: as at the nearest known place."""
        known = np.concatenate([SPOTS, CONTENTS])
        return float(known[np.argmin(((known[:, :2] - place) ** 2).sum(axis=1)), 2])

    @staticmethod
    def _ahead(facing: float) -> Vector:
        return REACH * np.array([np.cos(facing), np.sin(facing)])

    def _go(self, place: Vector, facing: float, gripper: float) -> npt.NDArray[np.float32]:
        """Brings the hand to a place: round what is in the way, then straight."""
        to = place - self._ahead(facing)
        target = cell(to[None], COARSE)
        way = float(self._maps.way(self._base[None], target)[0])
        if way < 0.6:
            return self._move(self._past_door(to), facing, gripper)
        # Of the cells that can be gone to straight, that from which the rest is shortest.
        off = self._places - self._base
        distance = np.sqrt((off * off).sum(axis=1))
        here = int(cell(self._base[None], COARSE)[0])
        within = np.flatnonzero((distance < _AHEAD + COARSE) & (self._maps.ways[here] < _AHEAD + COARSE))
        total = self._maps.ways[target[0], within] + distance[within]
        ahead = self._places[within[np.argmin(total - 0.1 * distance[within])]]
        return self._move(self._past_door(ahead), facing if way < 1.5 else None, gripper)

    def _past_door(self, to: Vector) -> Vector:
        """Round the end of the fridge's open door, which is on no map."""
        end = handles(self._opening)[0][0, 0]
        sides = [
            (end[0] - HINGE[0]) * (point[1] - HINGE[1]) - (end[1] - HINGE[1]) * (point[0] - HINGE[0])
            for point in (self._base, to)
        ]
        off = self._base - end
        opened = self._opening[0, 0] > 0.2
        if opened and sides[0] * sides[1] < 0 and np.hypot(*off) < 1.2 and self._base[1] > end[1] - 0.35:
            return np.array([self._base[0], end[1] - 0.6])
        return to

    def _back(self, gripper: float) -> npt.NDArray[np.float32]:
        """Opens the hand where it is."""
        return np.array([0.0, 0.0, 0.0, gripper], np.float32)

    def _move(self, to: Vector, facing: float | None, gripper: float) -> npt.NDArray[np.float32]:
        """Drives straight to a place, turning to ``facing`` or else to where it goes."""
        off = to - self._base
        if facing is None:
            facing = float(np.arctan2(off[1], off[0]))
        turn = (facing - np.arctan2(self._sine, self._cosine) + np.pi) % (2.0 * np.pi) - np.pi
        # The base turns while it drives: the middle of the turn is what counts.
        turn = float(np.clip(turn / (TURN * _PERIOD), -1.0, 1.0))
        heading = np.arctan2(self._sine, self._cosine) + 0.5 * turn * TURN * _PERIOD
        ahead = np.cos(heading) * off[0] + np.sin(heading) * off[1]
        left = np.cos(heading) * off[1] - np.sin(heading) * off[0]
        speeds = np.array([ahead, left]) / (SPEED * _PERIOD)
        speeds = speeds / max(1.0, float(np.abs(speeds).max()))
        return np.array([*speeds, turn, gripper], np.float32)
