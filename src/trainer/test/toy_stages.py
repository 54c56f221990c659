"""A toy of two stages in a row: walk to the lever and pull it, then walk to the door and pull. Batched, in NumPy.

State: place, lever's place, door's place, whether the lever was pulled. Action: walk, pull (above 0). Pulling too
early ends nothing. The reward is 1 for each stage, and nothing else; the auxiliary task ``lever`` begins near the
lever and ends when it was pulled, ``door`` begins near the door with the lever pulled.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

TASKS = ("both", "lever", "door")
STAGES = ("lever", "door")
HORIZONS = {"both": 60, "lever": 20, "door": 20}


class ToyStages(VectorEnv):
    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, tasks):
        self.num_envs, self.tasks = len(tasks), tuple(tasks)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.horizon = np.array([HORIZONS[task] for task in tasks])
        self.state = np.zeros((self.num_envs, 4))
        self.steps = np.zeros(self.num_envs, np.int64)

    def reset(self, *, seed=None, options=None):
        self.random = [np.random.default_rng(seed + i) for i in range(self.num_envs)]
        for i in range(self.num_envs):
            self.begin(i)
        return self.state.astype(np.float32), {"stage": self.stage()}

    def begin(self, i):
        lever, door, place = self.random[i].uniform([-0.8, 0.6, -0.1], [-0.6, 0.8, 0.1])
        task = self.tasks[i]
        if task == "lever":
            place += 0.7 * lever
        elif task == "door":
            place += 0.7 * door
        self.state[i] = place, lever, door, task == "door"
        self.steps[i] = 0

    def stage(self):
        return self.state[:, 3].astype(np.int64)

    def step(self, actions):
        self.steps += 1
        walk = np.clip(actions, -1.0, 1.0)
        self.state[:, 0] = np.clip(self.state[:, 0] + 0.1 * walk[:, 0], -1.0, 1.0)
        pull = walk[:, 1] > 0
        done = self.state[:, 3].astype(bool)
        at_lever = np.abs(self.state[:, 0] - self.state[:, 1]) < 0.06
        at_door = np.abs(self.state[:, 0] - self.state[:, 2]) < 0.06
        first, second = pull & at_lever & ~done, pull & at_door & done
        self.state[first, 3] = 1.0
        lever_only = np.array([task == "lever" for task in self.tasks])
        success = second | (first & lever_only)
        reward = (first | second).astype(float)
        cut = (self.steps >= self.horizon) & ~success
        ended = success | cut
        info = {"success": success, "final_obs": self.state.astype(np.float32), "_final_obs": ended}
        info["final_stage"] = self.stage()
        for i in np.flatnonzero(ended):
            self.begin(i)
        return self.state.astype(np.float32), reward, success, cut, {**info, "stage": self.stage()}
