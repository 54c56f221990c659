"""Features of what was seen, on which episodes are matched: the target encoder's, beside what the robot feels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.pixel_networks import PixelActor
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.replay.frame_store import frame_stacks


class EncodedFeatures:
    """The encoder's output and the normalised state, each divided by twice its spread within the demonstrations.

    So a distance of one in the matching cost is about as far as a demonstration's beginning is from its end.
    """

    def __init__(self, actor: PixelActor, demonstrations: Sequence[Trajectory]) -> None:
        """``actor`` gives encoder and normaliser, as they are when called."""
        self._actor = actor
        self._scale = np.ones(actor.encoder.feature + actor.state_size)
        all_features = np.concatenate([self(one) for one in demonstrations])
        for block in (slice(None, actor.encoder.feature), slice(actor.encoder.feature, None)):
            spread = 2.0 * np.sqrt(all_features[:, block].var(axis=0).sum())
            self._scale[block] = max(float(spread), 1e-3)

    def __call__(self, episode: Trajectory) -> NDArray[np.float64]:
        """Features float64 (T+1, d)."""
        device = self._actor.normaliser.centre.device
        assert episode.images is not None
        stacks = torch.from_numpy(frame_stacks(episode.images, self._actor.pictures.stack)).to(device)
        with torch.inference_mode():
            seen = self._actor.see(torch.from_numpy(episode.states).to(device), stacks)
        features: NDArray[np.float64] = seen.cpu().numpy().astype(np.float64) / self._scale
        return features
