"""The environment's own reward, as the control of the matching reward and for tasks without demonstrations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polytask_trainer.common.trajectory import Trajectory


class EnvironmentReward:
    """The rewards of an episode as the environment gave them, times a factor."""

    scale: float | None = None
    """Nothing has to be kept with a training."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def __call__(self, episode: Trajectory) -> NDArray[np.float32]:
        """Rewards float32 (T,)."""
        return self._factor * episode.rewards

    def arrival(self, episode: Trajectory) -> int:
        """The last step: where an episode arrives is not known."""
        return len(episode.actions)

    def restore(self, scale: float | None) -> None:
        """Nothing was kept."""

    def refresh(self, before: int, after: int) -> None:
        """Nothing in this reward depends on what is learned."""
