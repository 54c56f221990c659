"""The paper's toy problem (section 5.1): a main loss, one that helps at first, and one that works against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from polytask_trainer.auxiliary.config import AuxiliaryConfig, Combination
from polytask_trainer.auxiliary.weights import Weights

STARTS = ((-1.5, -1.0), (-1.0, 1.5), (1.0, -1.5), (1.5, 1.0))
"""The paper draws four without saying which."""
ALPHA = 0.01
RATE = 0.02
"""alpha beta; neither is in the paper."""


def losses(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_0 = x^2 + y^2, L_1 = (x - 0.5)^2 + (y - 0.5)^2 and L_2 = -L_0 at (2,)."""
    main = x.square().sum()
    return main, (x - 0.5).square().sum(), -main


@dataclass(frozen=True)
class Descent:
    """A course: places (T+1, 2), main losses (T+1,), weights of L_1 and L_2 (T+1, 2)."""

    places: list[list[float]]
    losses: list[float]
    weights: list[list[float]]


def descend(start: tuple[float, float], combine: Combination, steps: int = 1500) -> Descent:
    """Gradient descent from ``start``, without logs and with N = 1, as in the paper; w has no lower bound either."""
    config = AuxiliaryConfig(combine=combine, horizon=1, rate=RATE)
    weights = Weights(2, config, lowest=-math.inf)
    x = torch.tensor(start, requires_grad=True)
    found = Descent([], [], [])
    for _ in range(steps + 1):
        main, *others = losses(x)
        found.places.append(x.tolist())
        found.losses.append(float(main.detach()))
        found.weights.append(weights.w.tolist())
        gradients = torch.stack([torch.autograd.grad(one, x, retain_graph=True)[0] for one in (main, *others)])
        w = weights(gradients[1:] @ gradients[0])
        with torch.no_grad():
            x -= ALPHA * (gradients[0] + w @ gradients[1:])
    return found
