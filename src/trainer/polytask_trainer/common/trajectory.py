"""One episode as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def _none() -> NDArray[np.float32]:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class Trajectory:
    """An episode of T steps, demonstrated or run."""

    states: NDArray[np.float32]
    """float32 (T+1, n), that of the reset first."""
    actions: NDArray[np.float32]
    """float32 (T, k); entry t answers state t."""
    rewards: NDArray[np.float32] = field(default_factory=_none)
    """float32 (T,) of the environment; empty for a demonstration, which has none."""
    success: bool = False
    """Whether the task was done at one of the steps; nothing that is learned depends on it."""
    images: NDArray[np.uint8] | None = None
    """Camera frames uint8 (T+1, 3, size, size), where the policy is image-based."""

    def until(self, step: int) -> Trajectory:
        """Return the first ``step`` steps."""
        images = None if self.images is None else self.images[: step + 1]
        return Trajectory(self.states[: step + 1], self.actions[:step], self.rewards[:step], self.success, images)
