"""Processing of observations into a policy's inputs, the same in evaluation, actors and the policy server."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from polytask_policy.policy_spec import Pictures, PolicySpec

Frame = NDArray[np.uint8]


def fit(picture: Frame, size: int) -> Frame:
    """Bring a camera's picture uint8 (H, W, 3) to a policy's frame uint8 (3, size, size), averaging over areas."""
    if picture.shape[:2] != (size, size):
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


class FrameStack:
    """The last frames of an episode, oldest first; the first frame stands in for those before it."""

    def __init__(self, pictures: Pictures) -> None:
        size = pictures.size
        self._stacked = np.zeros((pictures.stack, 3, size, size), dtype=np.uint8)
        self._empty = True

    def reset(self) -> None:
        """Begin a new episode."""
        self._empty = True

    def add(self, frame: Frame) -> Frame:
        """Take a frame uint8 (3, size, size); returns a new stack uint8 (3 stack, size, size)."""
        if self._empty:
            self._stacked[:] = frame
            self._empty = False
        else:
            self._stacked[:-1] = self._stacked[1:].copy()
            self._stacked[-1] = frame
        return self._stacked.reshape(-1, *frame.shape[1:]).copy()


class View:
    """Turns a robot's observations into what a policy's ``act`` takes: ``policy.act(*view(state, picture))``."""

    def __init__(self, description: PolicySpec, state_names: Sequence[str]) -> None:
        """``state_names`` are the robot's; raises ValueError where it lacks one that the policy takes."""
        self.columns = description.columns(state_names)
        self.pictures = description.pictures
        self.camera = description.pictures.camera if description.pictures else ""
        """Name of the camera whose pictures the policy takes; empty where it takes none."""
        self._frames = FrameStack(description.pictures) if description.pictures else None

    def reset(self) -> None:
        """Begin a new episode, or a new goal."""
        if self._frames is not None:
            self._frames.reset()

    def __call__(
        self, state: NDArray[np.float32], picture: Frame | None = None
    ) -> tuple[NDArray[np.float32], Frame | None]:
        """Return the policy's state float32 (n,) and its stack uint8 (3 stack, size, size), None for a blind policy.

        ``state`` is the robot's whole, float32 (m,); ``picture`` uint8 (H, W, 3) of the camera that the policy wants.
        Raises ValueError without it.
        """
        if self._frames is None or self.pictures is None:
            return state[self.columns], None
        if picture is None:
            raise ValueError(f"this policy needs the pictures of camera '{self.pictures.camera}'")
        return state[self.columns], self._frames.add(fit(picture, self.pictures.size))
