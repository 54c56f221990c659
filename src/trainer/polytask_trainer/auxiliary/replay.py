"""Transitions of which also the next picture is known, whatever the number of steps of the return."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from polytask_trainer.replay.pixels import PixelBatch, PixelReplay


@dataclass(frozen=True)
class SteppedBatch(PixelBatch):
    """A batch with stacked frames uint8 (B, 3 stack, size, size) one step after its states."""

    after: Tensor


class SteppedReplay(PixelReplay):
    """A replay for agents with auxiliary losses, which are about single steps."""

    def sample(self, batch_size: int, generator: torch.Generator) -> SteppedBatch:
        """Draw the transitions that :class:`PixelReplay` would."""
        single = copy.copy(self)
        single.n_step = 1
        before = generator.get_state()
        after = PixelReplay.sample(single, batch_size, generator).next_pictures
        generator.set_state(before)  # the same draw once more
        return SteppedBatch(**vars(super().sample(batch_size, generator)), after=after)
