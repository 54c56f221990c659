"""Five losses that teach an encoder without rewards (the paper's Table 1), each with a small network of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from polytask_policy.networks import mlp
from polytask_trainer.auxiliary.config import AuxiliaryConfig
from polytask_trainer.auxiliary.flow import CELLS, LARGEST

RECONSTRUCTED = 12
"""Pixels on either side of what the autoencoder gives back: the frame averaged."""
TURN, MOVE = math.pi / 4, 0.25
"""Largest egomotion: radians, and the share of half a picture's width."""


@dataclass(frozen=True)
class Passed:
    """What happened: stacked frames before and after float32 (B, 3 stack, S, S) in [-0.5, 0.5], actions (B, k).

    ``moved`` are the frames before with ``motion`` (B, 3) applied, see :func:`egomotion`; ``flow`` (B, 2, C, C).
    """

    before: Tensor
    after: Tensor
    actions: Tensor
    moved: Tensor
    motion: Tensor
    flow: Tensor

    def pictures(self) -> Tensor:
        """All that the encoder sees, in the order in which :class:`Losses` takes its features, (3 B, ...)."""
        return torch.cat([self.before, self.after, self.moved])


class Losses(nn.Module):
    """The losses' own networks, perceptrons on the encoder's features."""

    def __init__(self, feature: int, actions: int, config: AuxiliaryConfig) -> None:
        """``feature`` is the width of the features, ``actions`` that of an action."""
        super().__init__()
        ends = {
            "forward_dynamics": (feature + actions, feature),
            "inverse_dynamics": (2 * feature, actions),
            "egomotion": (2 * feature, 3),
            "autoencoder": (feature, 3 * RECONSTRUCTED**2),
            "optical_flow": (2 * feature, 2 * CELLS**2),
        }
        self.heads = nn.ModuleDict({name: mlp((ends[name][0], config.hidden, ends[name][1])) for name in config.losses})

    def forward(self, features: Tensor, passed: Passed) -> dict[str, Tensor]:
        """Mean squared errors by name, from the features (3 B, F) of ``passed.pictures()``."""
        before, after, moved = features.chunk(3)
        wanted = {
            # Not through the target: features that say nothing would be predicted best.
            "forward_dynamics": ((before, passed.actions), after.detach()),
            "inverse_dynamics": ((before, after), passed.actions),
            "egomotion": ((before, moved), passed.motion),
            "autoencoder": ((before,), functional.adaptive_avg_pool2d(passed.before[:, -3:], RECONSTRUCTED).flatten(1)),
            "optical_flow": ((before, after), passed.flow.flatten(1) / LARGEST),
        }
        found = {}
        for name, head in self.heads.items():
            given, target = wanted[name]
            found[name] = (head(torch.cat(given, dim=1)) - target).square().mean()
        return found


def egomotion(pictures: Tensor, motion: Tensor) -> Tensor:
    """Pictures float32 (B, C, S, S) turned by TURN motion[:, 0] and moved by MOVE motion[:, 1:], edges repeated."""
    angle, shift = TURN * motion[:, 0], MOVE * motion[:, 1:]
    turned = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(-1, 2, 2)
    grid = functional.affine_grid(
        torch.cat([turned, shift[:, :, None]], dim=2), list(pictures.shape), align_corners=False
    )
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
