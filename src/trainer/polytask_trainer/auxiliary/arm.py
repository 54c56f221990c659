"""Arms with two links seen from above: a small goal-reaching task whose state and goal are pictures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 16
"""Pixels on either side of a picture, which shows 2 x 2 units."""
LINKS = (0.45, 0.4)
SPEED = 0.5
"""rad that a joint turns in a step at action 1."""
HORIZON = 20
"""Steps of an episode."""
NEAR = 0.2
"""Units; the goal is reached when elbow and tip both are as near to where it has them."""
ACTIONS = 2
_SHIFT = 4  # cv2 draws at sixteenths of a pixel


class Arms:
    """A batch of arms: episode ``i`` begins with start and goal of seed ``seeds[i]``."""

    def __init__(self, seeds: Sequence[int]) -> None:
        """Joint angles of starts and goals are uniform over what the joints can do."""
        drawn = np.stack([np.random.default_rng(seed).uniform(-1.0, 1.0, (2, 2)) for seed in seeds])
        self._angles, goals = (drawn * (np.pi, 2.5)).transpose(1, 0, 2)
        self.goals = places(goals)
        """Elbow and tip at the goal, float32 (B, 4)."""
        self.goal_pictures = pictures(self.goals)
        """uint8 (B, 3, SIZE, SIZE)."""

    def places(self) -> NDArray[np.float32]:
        """Elbow and tip as they are, float32 (B, 4)."""
        return places(self._angles)

    def step(self, actions: NDArray[np.float32]) -> None:
        """Turn the joints, actions (B, 2) in [-1, 1]; the elbow stops at 2.5 rad."""
        self._angles = self._angles + SPEED * actions.clip(-1.0, 1.0)
        self._angles[:, 1] = self._angles[:, 1].clip(-2.5, 2.5)


def places(angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Elbow and tip (B, 4) of joint angles (B, 2)."""
    elbow = LINKS[0] * np.stack([np.cos(angles[:, 0]), np.sin(angles[:, 0])], axis=1)
    along = angles.sum(axis=1)
    tip = elbow + LINKS[1] * np.stack([np.cos(along), np.sin(along)], axis=1)
    return np.concatenate([elbow, tip], axis=1).astype(np.float32)


def reached(where: NDArray[np.float32], goals: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether elbows and tips (..., 4) are at the goals (..., 4)."""
    apart = (where - goals).reshape(*where.shape[:-1], 2, 2)
    near: NDArray[np.bool_] = (np.linalg.norm(apart, axis=-1) < NEAR).all(axis=-1)
    return near


def pictures(where: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw elbows and tips (B, 4): uint8 (B, 3, SIZE, SIZE), the links in two colours on black."""
    found = np.zeros((len(where), SIZE, SIZE, 3), dtype=np.uint8)
    pixels = np.round(((where.reshape(-1, 2, 2) + 1.0) * SIZE / 2 - 0.5) * 2**_SHIFT).astype(int)
    middle = (round((SIZE / 2 - 0.5) * 2**_SHIFT),) * 2
    for picture, (elbow, tip) in zip(found, pixels.tolist(), strict=True):
        cv2.line(picture, middle, elbow, (255, 80, 0), 1, cv2.LINE_AA, _SHIFT)
        cv2.line(picture, elbow, tip, (0, 160, 255), 1, cv2.LINE_AA, _SHIFT)
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))
