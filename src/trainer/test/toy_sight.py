"""The point of ``toy_point.py`` as a camera sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import toy_point
from numpy.typing import NDArray

from polytask_trainer.experts.config import LearnConfig

CAMERA = "camera"


class SeenPoint(toy_point.PointEnv):
    """Its picture uint8 (32, 32, 3): a white spot on black; one pixel is 1.5 cm, the origin is in the middle."""

    def render(self) -> NDArray[np.uint8]:  # type: ignore[override]
        """Draw the spot."""
        column, row = 15.5 + self.state[:2] / 0.015
        y, x = np.mgrid[:32, :32]
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / 8.0)
        return np.repeat((255 * spot).astype(np.uint8)[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class SeenDemonstration(toy_point.Demonstration):
    """A demonstration with its pictures uint8 (T+1, 32, 32, 3)."""

    images: Mapping[str, NDArray[np.uint8]]


def demonstration(seed: int = 0) -> SeenDemonstration:
    """One scripted episode that ends in success."""
    shown, env, pictures = toy_point.demonstration(seed), SeenPoint(), []
    for state in shown.state:
        env.state = state
        pictures.append(env.render())
    return SeenDemonstration(shown.state, shown.action, {CAMERA: np.stack(pictures)})


EMBODIMENT = {"state": toy_point.UNITS, "cameras": [{"name": CAMERA}]}
DESCRIPTION = dataclasses.replace(toy_point.DESCRIPTION, embodiment=EMBODIMENT)


def small(**changes: Any) -> LearnConfig:
    """Settings that take some seconds."""
    pictures = {"size": 16, "stack": 2, "feature": 8, "state": ["v.x", "v.y"], "target_every": 100, "device": "cpu"}
    agent = {"hidden": [32, 32], "batch_size": 16}
    return toy_point.small(**{"updates_per_step": 0.2, "pictures": pictures, "agent": agent, **changes})
