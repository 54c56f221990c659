"""The relevance f_i(s) of auxiliary task i in a state s of the main task: from an oracle's plan, or without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.network import RecurrentPolicy, TwoScales


class Relevance(Protocol):
    """Says how much each auxiliary task matters in samples of the main task."""

    def weigh(self, policy: RecurrentPolicy, observations: Tensor, features: Tensor, stages: Tensor) -> Tensor:
        """f (N, A) in [0, 1], for observations (N, n), features (N, 2 hidden) and the oracle's stages int64 (N,)."""
        ...

    def learn(self, observations: Tensor, task: Tensor) -> None:
        """Take a rollout: observations (T, B, n), task (B,) with 0 for the main one."""
        ...


class Oracle(nn.Module):
    """f_i(s) = 1 where the oracle plan's current stage is one that task i trains, as in the paper."""

    def __init__(self, stages: Sequence[str], auxiliaries: Sequence[str]) -> None:
        super().__init__()
        self._table = torch.tensor([[float(stage == task) for task in auxiliaries] for stage in stages])

    def weigh(self, policy: RecurrentPolicy, observations: Tensor, features: Tensor, stages: Tensor) -> Tensor:
        """One row of the table for each sample."""
        return self._table[stages]

    def learn(self, observations: Tensor, task: Tensor) -> None:
        """Nothing to learn."""


class Classifier(nn.Module):
    """f_i(s) = q(i | s) of the likeliest i, 0 of the others: whose states look like this one?

    No oracle, and no label but the task: a small network learns to tell the auxiliary tasks apart by their own
    observations, all tasks with equal weight, and is then asked about observations of the main task. An auxiliary
    task ends when it is done, so its states are those in which its work is still to do. Only the likeliest is
    followed, since what lies between two policies does neither's work; by how much says how sure it is.
    """

    BATCH = 2048

    def __init__(self, state_size: int, auxiliaries: int, generator: torch.Generator, hidden: int = 64) -> None:
        super().__init__()
        self._generator, self._auxiliaries = generator, auxiliaries
        self.layers = nn.Sequential(
            TwoScales(), nn.Linear(2 * state_size, hidden), nn.ReLU(), nn.Linear(hidden, auxiliaries)
        )
        self.optimizer = torch.optim.Adam(self.parameters(), 1e-3)

    @torch.no_grad()
    def weigh(self, policy: RecurrentPolicy, observations: Tensor, features: Tensor, stages: Tensor) -> Tensor:
        """The likeliest auxiliary task's probability, in its column."""
        found: Tensor = self.layers(observations).softmax(-1)
        return found * (found == found.amax(-1, keepdim=True))

    def learn(self, observations: Tensor, task: Tensor) -> None:
        """One pass over the auxiliary tasks' observations."""
        own = task > 0
        inputs = observations[:, own].flatten(0, 1)
        labels = (task[own] - 1).expand(len(observations), -1).flatten()
        weight = 1.0 / torch.bincount(labels, minlength=self._auxiliaries).clamp(min=1)
        for part in torch.randperm(len(inputs), generator=self._generator).split(self.BATCH):
            loss = functional.cross_entropy(self.layers(inputs[part]), labels[part], weight / weight.sum())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class Value(nn.Module):
    """f_i(s) = softmax of the auxiliary tasks' own normalised values V_i(s): which of them is best off here.

    Values are on the scale of PopArt, in standard deviations above what the task usually earns, so that tasks with
    different rewards compare. Nothing is learned for it, but the values are asked where they were not trained.
    """

    TEMPERATURE = 0.3

    @torch.no_grad()
    def weigh(self, policy: RecurrentPolicy, observations: Tensor, features: Tensor, stages: Tensor) -> Tensor:
        """Softmax over the auxiliary tasks' values."""
        tasks = torch.arange(1, policy.sizes["tasks"])
        values = [policy.normalised_value(features, task.expand(len(features))) for task in tasks]
        return (torch.stack(values, -1) / self.TEMPERATURE).softmax(-1)

    def learn(self, observations: Tensor, task: Tensor) -> None:
        """Nothing to learn."""


def make_relevance(config: AuxDistillConfig, state_size: int, generator: torch.Generator) -> Relevance | None:
    """The relevance that the settings name; None for none."""
    if config.relevance == "oracle":
        return Oracle(config.stages, config.auxiliaries)
    if config.relevance == "classifier":
        return Classifier(state_size, len(config.auxiliaries), generator)
    return Value() if config.relevance == "value" else None
