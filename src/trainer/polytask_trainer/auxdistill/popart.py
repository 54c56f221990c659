"""PopArt (van Hasselt et al. 2016, Hessel et al. 2019): a value head for each task on that task's own scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 0.05
"""In units of reward, of returns and of advantages: what a task that has earned nothing yet has of either is noise,
which is not to be blown up, least of all against the distillation that is to change that."""


class PopArt(nn.Module):
    """Linear heads that predict (return - mean_i) / deviation_i of task i, with mean_i and deviation_i running.

    When the statistics move, the head's weights move against them, so that no value V_i = deviation_i · head + mean_i
    changes ("preserving outputs precisely").
    """

    mean: Tensor
    square: Tensor

    def __init__(self, inputs: int, tasks: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tasks, inputs))
        self.bias = nn.Parameter(torch.zeros(tasks))
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("square", torch.ones(tasks))

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of each task's returns (tasks,)."""
        return (self.square - self.mean.square()).clamp(min=LEAST_DEVIATION**2).sqrt()

    def normalised(self, features: Tensor, task: Tensor) -> Tensor:
        """Head of ``task`` (...), of features (..., inputs)."""
        return (features * self.weight[task]).sum(-1) + self.bias[task]

    def normalise(self, returns: Tensor, task: Tensor) -> Tensor:
        """Returns (...) on the scale of the heads."""
        return (returns - self.mean[task]) / self.deviation[task]

    def denormalise(self, normalised: Tensor, task: Tensor) -> Tensor:
        """Values (...) in units of reward."""
        return normalised * self.deviation[task] + self.mean[task]

    @torch.no_grad()
    def update(self, returns: Tensor, task: Tensor, rate: float) -> None:
        """Move each task's mean and second moment by ``rate`` towards those of its returns (T, B), task (B,)."""
        mean, deviation = self.mean.clone(), self.deviation
        for i in task.unique().tolist():
            own = returns[:, task == i]
            self.mean[i] += rate * (own.mean() - self.mean[i])
            self.square[i] += rate * (own.square().mean() - self.square[i])
        scale = deviation / self.deviation
        self.weight.mul_(scale.unsqueeze(-1))
        self.bias.copy_(self.bias * scale + (mean - self.mean) / self.deviation)
