"""An agent whose goal is a picture: its policy, and its replay, which puts reached goals in the place of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_policy.networks import mlp
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures
from polytask_trainer.auxiliary.replay import SteppedBatch
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelReplay

RELABELLED = 0.9
"""Share of drawn transitions whose goal is one that the same episode reached later (section 5.3)."""


class GoalActor(PixelActor):
    """A policy from a frame and a goal picture, one after the other uint8 (..., 6, S, S), both through one encoder."""

    def __init__(
        self, pictures: Pictures, action_size: int, hidden: Sequence[int], feature: int, strides: Sequence[int]
    ) -> None:
        super().__init__(pictures, 0, action_size, hidden, feature, strides)
        self.seen_size = 2 * feature
        self.layers = mlp((self.seen_size, *hidden, action_size))

    def see(self, state: Tensor, pictures: Tensor) -> Tensor:
        """Return the features of frame and goal, float32 (..., 2 feature); there is no state."""
        features: Tensor = self.encoder(pictures.unflatten(-3, (2, -1)))
        return features.flatten(-2)


class HindsightReplay(PixelReplay):
    """Episodes with a goal of their own, whose picture lies behind their frames, last in their slot."""

    def __init__(
        self,
        store: FrameStore,
        sizes: tuple[int, int],
        gamma: float,
        reached: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]],
    ) -> None:
        """``sizes`` are those of the true state and the action; ``reached(states, goals)`` is all that reads states.

        A slot of the store takes an episode of two frames fewer than its length in steps.
        """
        super().__init__(store, store.slots, 1, sizes, 1, 1, gamma)
        self._reached = reached

    def add_episode(
        self,
        states: NDArray[np.float32],
        actions: NDArray[np.float32],
        goal: NDArray[np.float32],
        frames: NDArray[np.uint8],
    ) -> None:
        """Add states (T+1, n), actions (T, k), goal (n,) and frames uint8 (T+2, 3, S, S), the goal's picture last."""
        slot = self.episodes % self.ring
        self.store.write(slot, frames[:-1])
        self.store.frames[(slot + 1) * self.store.length - 1] = frames[-1]
        self.add(states, actions, np.zeros(len(actions), dtype=np.float32))
        self._states[slot, -1] = torch.from_numpy(goal)

    def sample(self, batch_size: int, generator: torch.Generator) -> SteppedBatch:
        """Draw transitions uniformly: the reward is -1 until the goal is reached, which ends it."""
        slot, t = self._drawn(batch_size, generator)
        share, relabelled = torch.rand(2, batch_size, generator=generator)
        later = t + 1 + (share * (self._lengths[slot] - t)).long()
        goal = torch.where(relabelled < RELABELLED, later, self.store.length - 1)
        reached = torch.from_numpy(
            self._reached(self._states[slot, t + 1].numpy(), self._states[slot, goal].numpy())
        ).float()
        places = slot[:, None] * self.store.length + torch.stack([t, t + 1, goal], dim=1)
        now, after, wanted = torch.from_numpy(self.store.read(places.numpy())).unbind(1)
        nothing = torch.zeros(batch_size, 0)
        return SteppedBatch(
            nothing,
            self._actions[slot, t],
            reached - 1.0,
            self.gamma * (1.0 - reached),
            nothing,
            torch.cat([now, wanted], dim=1),
            torch.cat([after, wanted], dim=1),
            after,
        )
