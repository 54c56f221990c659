"""The recurrent policy of all tasks, and a value for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from polytask_trainer.auxdistill.popart import PopArt


class RecurrentPolicy(nn.Module):
    """A Gaussian policy π(a | o, i) and values V_i(o) on one recurrent core.

    The task enters after the core: the core sees what is observed and nothing else, so its hidden state belongs to
    the history of observations, whatever the task. That is what makes distillation cheap and exact here: π(· | o, main)
    and π(· | o, i) along the same sequence of the main task differ in their heads alone. With the task as an input of
    the core, the auxiliary policy would need a hidden state of its own, unrolled over the whole sequence once for each
    auxiliary task.

    Args:
        state_size: n, entries of an observation.
        action_size: k, entries of an action.
        tasks: number of tasks.
        hidden: units of every layer and of the core.
        log_std: logarithm of the standard deviation of actions at the start; each task learns its own.

    """

    def __init__(self, state_size: int, action_size: int, tasks: int, hidden: int = 128, log_std: float = -1.0) -> None:
        super().__init__()
        self.sizes = {"state_size": state_size, "action_size": action_size, "tasks": tasks, "hidden": hidden}
        self.encoder = nn.Sequential(TwoScales(), _linear(2 * state_size, hidden), nn.ReLU())
        self.core = nn.GRUCell(hidden, hidden)
        for weight in (self.core.weight_ih, self.core.weight_hh):
            nn.init.orthogonal_(weight)
        self.actor = TaskLayer(2 * hidden, hidden, tasks)
        self.mean = _linear(hidden, action_size, gain=0.01)
        self.log_std = nn.Parameter(torch.full((tasks, action_size), log_std))
        self.critic = TaskLayer(2 * hidden, hidden, tasks)
        self.value = PopArt(hidden, tasks)

    def start(self, count: int) -> Tensor:
        """Hidden state (count, hidden) at the beginning of an episode."""
        return torch.zeros(count, self.sizes["hidden"])

    def features(self, observations: Tensor, begins: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Run the core over sequences.

        Args:
            observations: float32 (T, B, n).
            begins: bool (T, B): the observation is the first of its episode, so the hidden state is cleared before it.
            hidden: (B, hidden), before the first observation.

        Returns:
            What the heads take, (T, B, 2 hidden), and the hidden state after the last observation.

        """
        seen = self.encoder(observations)
        keep = (~begins).to(seen.dtype).unsqueeze(-1)
        states = []
        for time in range(len(seen)):
            hidden = self.core(seen[time], hidden * keep[time])
            states.append(hidden)
        return torch.cat([torch.stack(states), seen], -1), hidden

    def action(self, features: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation (..., k) of π(· | o, task); ``task`` int64 fits the leading dimensions."""
        mean = self.mean(self.actor(features, task))
        return mean, self.log_std[task].expand_as(mean)

    def normalised_value(self, features: Tensor, task: Tensor) -> Tensor:
        """Value (...) in units of the task's statistics: (V - mean) / deviation."""
        return self.value.normalised(self.critic(features, task), task)


class TwoScales(nn.Module):
    """Entries as they are, for what is far, and magnified and bounded, for what is near: a hand's last centimetres."""

    NEAR, FAR = 0.3, 3.0

    def forward(self, observations: Tensor) -> Tensor:
        """(..., 2n) of observations (..., n)."""
        return torch.cat([observations / self.FAR, torch.tanh(observations / self.NEAR)], -1)


class TaskLayer(nn.Module):
    """Two layers, the first with weights of each task's own, which the task, a one-hot vector, chooses.

    With a vector of each task's added to shared weights instead, one task's gradient moved the others' actions: on the
    house some were not learned together that each alone is learned soon (docs/explanation/auxdistill.md).
    """

    def __init__(self, inputs: int, outputs: int, tasks: int) -> None:
        super().__init__()
        self.task = nn.ModuleList(_linear(inputs, outputs) for _ in range(tasks))
        self.out = _linear(outputs, outputs)

    def forward(self, features: Tensor, task: Tensor) -> Tensor:
        """(..., outputs) of features (..., inputs) and task int64, whose shape fits the leading dimensions."""
        flat, task = features.flatten(0, -2), task.expand(features.shape[:-1]).flatten()
        found = flat.new_empty(len(flat), self.out.in_features)
        for i in task.unique().tolist():
            own = (task == i).nonzero()[:, 0]
            found[own] = self.task[i](flat[own])
        given: Tensor = torch.relu(self.out(torch.relu(found)))
        return given.reshape(*features.shape[:-1], -1)


def _linear(inputs: int, outputs: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
