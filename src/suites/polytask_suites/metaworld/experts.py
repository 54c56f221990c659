"""Meta-World's scripted policies as experts on the state vector."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from metaworld.policies import ENV_POLICY_MAP


class MetaWorldExpert:
    """The scripted policy that comes with Meta-World for one task."""

    def __init__(self, task: str) -> None:
        self._make = ENV_POLICY_MAP[f"{task}-v3"]
        self._policy = self._make()

    def reset(self) -> None:
        """A fresh policy, as some remember what they did."""
        self._policy = self._make()

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (4,) for a state float32 (39,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they warn of every action that has to be clipped
            action = self._policy.get_action(state.astype(np.float64))
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)
