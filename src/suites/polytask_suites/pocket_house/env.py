"""The house as a batched suite: observations, rewards and successes of its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from polytask_suites.batch import EVERY, BatchEnv, Floats, Indices, Picture, Vector, Which
from polytask_suites.pocket_house import layout, plan
from polytask_suites.pocket_house.layout import OBJECT, OPEN, REACH
from polytask_suites.pocket_house.picture import draw
from polytask_suites.pocket_house.start import Starts
from polytask_suites.pocket_house.world import RAYS, World
from polytask_suites.task import SuiteConfig

_PLACES = ("fridge_handle", "cabinet_handle", "object", "goal")
STATE_NAMES: tuple[str, ...] = (
    *(f"scan.{ray:02d}" for ray in range(RAYS)),
    *("base.x", "base.y", "base.cos", "base.sin"),
    *("base_velocity.forward", "base_velocity.left", "base_velocity.turn"),
    *("gripper.closed", "gripper.object", "gripper.handle"),
    *("fridge.opening", "cabinet.opening"),
    *(f"{place}.{axis}" for place in _PLACES for axis in "xy"),
)
"""Metres, radians, seconds. The base's pose is that in the house; the last eight are places as seen from the
outstretched hand, x ahead and y to the left."""


class PocketHouse(BatchEnv):
    """Many houses at once.

    Observation float32 (36,), see ``STATE_NAMES``. Action float32 (4,) in [-1, 1]: speed forward, speed to the left,
    speed of turning, and that at which the gripper closes. ``info["stage"]`` int64
    (B,): the oracle plan's stage, an index into ``STAGES``; in an auxiliary task, the stage which that task trains.
    """

    metadata = BatchEnv.metadata | {"render_fps": 5}
    suite = "pocket_house"
    called = "the house"
    state_names = STATE_NAMES
    joint_names = ("base_x", "base_y", "base_yaw", "gripper", "fridge_door", "cabinet_door")

    def __init__(self, config: SuiteConfig, tasks: Sequence[str]) -> None:
        super().__init__(config, tasks)
        self._starts = Starts(config)
        self.world = World(self.num_envs)
        self._parts: Indices = np.zeros(self.num_envs, np.int64)
        """Parts of the whole that have been done in this episode."""
        self._to_go: Vector = np.zeros(self.num_envs)
        self._declare_spaces(spaces.Box(-1.0, 1.0, (4,), np.float32))

    def _begin(self, which: Indices) -> None:
        drawn = np.stack([self.random[index].random(self._starts.numbers) for index in which])
        self.world.begin(which, self._starts(self.task_index[which], drawn))
        self._parts[which] = plan.PARTS[plan.stage(self.world, which)]
        self._to_go[which] = plan.to_go(self.world, which, self._stage(which))

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[Vector, npt.NDArray[np.bool_]]:
        self.world.act(actions, 1.0 / self.config.control_rate)
        planned = plan.stage(self.world, EVERY)
        success = self._success(planned)
        parts = np.maximum(self._parts, plan.PARTS[planned])
        to_go = plan.to_go(self.world, EVERY, self._stage(EVERY))
        worth = self._starts.rewards[self.task_index]
        nearer = worth[:, 0] * (self._to_go - to_go)
        reward: Vector = nearer + worth[:, 1] * (parts - self._parts) + worth[:, 2] * success + worth[:, 3]
        self._parts, self._to_go = parts, to_go
        return reward, success

    def _success(self, planned: Indices) -> npt.NDArray[np.bool_]:
        """Whether the tasks' own stages are over, or all of them."""
        trained = self._starts.trained[self.task_index]
        success: npt.NDArray[np.bool_] = planned == plan.DONE
        success[trained == plan.OPEN_FRIDGE] = (self.world.opening[:, 0] >= OPEN)[trained == plan.OPEN_FRIDGE]
        success[trained == plan.OPEN_CABINET] = (self.world.opening[:, 1] >= OPEN)[trained == plan.OPEN_CABINET]
        picking = (trained == plan.PICK) | (trained == plan.PICK_FROM_FRIDGE)
        success[picking] = (self.world.held == OBJECT)[picking]
        return success

    def _stage(self, which: Which) -> Indices:
        """The plan's stage in a rearrangement; in another task that which it trains, until the object is placed."""
        trained, planned = self._starts.trained[self.task_index[which]], plan.stage(self.world, which)
        placed = (planned == plan.DONE) & (trained == plan.PLACE)
        stage: Indices = np.where((trained == plan.DONE) | placed, planned, trained)
        return stage

    def _told(self, which: Which) -> Mapping[str, npt.NDArray[Any]]:
        return {"stage": self._stage(which)}

    def _observe(self, which: Which) -> Floats:
        world, base, heading = self.world, self.world.base[which], self.world.heading[which]
        cosine, sine = np.cos(heading), np.sin(heading)
        held, places = world.held[which], layout.handles(world.opening[which])[0]
        seen: Floats = np.empty((len(base), len(STATE_NAMES)), np.float32)
        seen[:, :RAYS] = world.scan(which)
        columns = [*base.T, cosine, sine, *world.velocity[which].T]
        columns += [world.closing[which], held == OBJECT, held > OBJECT, *world.opening[which].T]
        for place in (places[:, 0], places[:, 1], world.thing[which], world.goal[which]):
            x, y = (place - base).T
            columns += [cosine * x + sine * y - REACH, cosine * y - sine * x]
        for number, column in enumerate(columns, RAYS):
            seen[:, number] = column
        return seen

    def joint_state(self, index: int) -> tuple[Vector, Vector]:
        """Positions and velocities of ``joint_names``: metres and radians in the house; gripper 0 open to 1 closed,
        doors 0 shut to 1 open, and without speeds.
        """
        world, heading = self.world, self.world.heading[index]
        forward, left, turn = world.velocity[index]
        x = np.cos(heading) * forward - np.sin(heading) * left
        y = np.sin(heading) * forward + np.cos(heading) * left
        positions = np.array([*world.base[index], heading, world.closing[index], *world.opening[index]])
        return positions, np.array([x, y, turn, 0.0, 0.0, 0.0])

    def draw(self, index: int, width: int, height: int) -> Picture:
        """The house from above."""
        return draw(self.world, index, width, height)
