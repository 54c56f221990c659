"""A point that has to be brought from a random start to the origin: a small stand-in for a suite's environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.experts.config import LearnConfig, learn_config

NAMES = ("p.x", "p.y", "v.x", "v.y")
STEP = 0.02


@dataclass(frozen=True)
class Demonstration:
    """States float32 (T+1, 4) and actions float32 (T, 2)."""

    state: NDArray[np.float32]
    action: NDArray[np.float32]


class PointEnv(gymnasium.Env[dict[str, NDArray[Any]], NDArray[np.float32]]):
    """Positions in metres, an action of 1 moves 2 cm; success within 1 cm of the origin."""

    suite, task, state_names, control_rate, horizon = "toy", "home", NAMES, 20.0, 60
    tasks: ClassVar[Mapping[str, Any]] = {
        "home": SimpleNamespace(
            name="home",
            features=({"name": "p", "kind": "value", "entries": ["p.x", "p.y"], "scale": 0.1},),
        )
    }

    def __init__(self) -> None:
        self.observation_space = spaces.Dict({"state": spaces.Box(-np.inf, np.inf, (4,), np.float32)})
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.state, self.steps = np.zeros(4, dtype=np.float32), 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Start 10 to 20 cm off, on the right."""
        super().reset(seed=seed)
        start = self.np_random.uniform([0.1, -0.1], [0.2, 0.1])
        self.state, self.steps = np.array([*start, 0.0, 0.0], dtype=np.float32), 0
        return {"state": self.state.copy()}, {}

    def step(self, action: NDArray[np.float32]) -> Any:
        """Move by the action, with some inertia."""
        velocity = 0.3 * self.state[2:] + 0.7 * STEP * np.clip(action, -1.0, 1.0)
        self.state = np.concatenate([self.state[:2] + velocity, velocity]).astype(np.float32)
        self.steps += 1
        distance = float(np.linalg.norm(self.state[:2]))
        info = {"success": distance < 0.01, "message": ""}
        return {"state": self.state.copy()}, -distance, False, self.steps >= self.horizon, info

    def render(self) -> NDArray[np.uint8]:  # type: ignore[override]
        """A picture whose colour tells the position."""
        return np.full((84, 84, 3), np.clip(128 + 500 * self.state[0], 0, 255), dtype=np.uint8)


def script(state: NDArray[np.float32]) -> NDArray[np.float32]:
    """The way home."""
    return np.clip(-state[:2] / STEP * 0.5, -1.0, 1.0).astype(np.float32)


def demonstration(seed: int = 0) -> Demonstration:
    """One scripted episode that ends in success."""
    env = PointEnv()
    states, actions, success = [env.reset(seed=seed)[0]["state"]], [], False
    while not success:
        actions.append(script(states[-1]))
        observation, _, _, _, info = env.step(actions[-1])
        states.append(observation["state"])
        success = info["success"]
    return Demonstration(np.stack(states), np.stack(actions))


UNITS = [{"name": name, "unit": "m" if name[0] == "p" else "m/s"} for name in NAMES]
DESCRIPTION = PolicySpec("toy", ("home",), NAMES, ("x", "y"), {"home": ("go home",)}, {"home": ""}, {"state": UNITS})


def small(**changes: Any) -> LearnConfig:
    """Settings that take a second."""
    base = {"steps": 200, "seed_episodes": 3, "critic_updates": 10, "goal_pictures": 3, "goal_rollouts": 4}
    parts = {"agent": {"hidden": [32, 32], "batch_size": 32}, "cloning": {"steps": 100, "batch_size": 32}}
    return learn_config({**base, **parts, **changes})
