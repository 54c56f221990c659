"""The goal space, and the policy conditioned on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from polytask_policy.networks import Actor, Normaliser, mlp

GOAL_SIZE = 64
PICTURE_SIZE = 42
TASK_SLOTS = 64
"""Rows of the table of task names. Fixed, so that teaching one more task changes no shape."""


class GoalEncoder(nn.Module):
    """Three projectors into one goal space of 64 numbers: sentences, pictures, task names.

    Each ends in a LayerNorm, so goals of every kind have the same length. The task embeddings serve as the tasks'
    prototypes: distillation pulls the other two kinds towards them. Their table has a fixed number of rows, of which
    the first ``taught`` are in use.
    """

    def __init__(self, language_size: int, taught: int) -> None:
        """Make projectors for sentence vectors of ``language_size``; the first ``taught`` task names are in use."""
        super().__init__()
        self.teach(taught)
        self.language = nn.Linear(language_size, GOAL_SIZE)
        self.picture = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2),  # 42 -> 20
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2),  # 20 -> 9
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2),  # 9 -> 4
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, GOAL_SIZE),
        )
        self.task = nn.Embedding(TASK_SLOTS, GOAL_SIZE)

    def teach(self, taught: int) -> None:
        """Use the first ``taught`` rows of the task table from now on; raises ValueError when it has fewer."""
        if taught > TASK_SLOTS:
            raise ValueError(
                f"{taught} tasks are too many for one policy: its table holds {TASK_SLOTS}. Teach the others to a "
                "second policy."
            )
        self.taught = taught

    def from_sentences(self, vectors: Tensor) -> Tensor:
        """Project sentence vectors float32 (B, L) to goals (B, 64)."""
        return functional.layer_norm(self.language(vectors), (GOAL_SIZE,))

    def from_pictures(self, pictures: Tensor) -> Tensor:
        """Project pictures float32 (B, 3, 42, 42) in [0, 1] to goals (B, 64)."""
        return functional.layer_norm(self.picture(pictures - 0.5), (GOAL_SIZE,))

    def from_tasks(self, indices: Tensor) -> Tensor:
        """Look up task numbers int64 (B,) as goals (B, 64)."""
        return functional.layer_norm(self.task(indices), (GOAL_SIZE,))

    def prototypes(self) -> Tensor:
        """Return the goals of the K taught tasks, (K, 64)."""
        return functional.layer_norm(self.task.weight[: self.taught], (GOAL_SIZE,))

    def similarities(self, goals: Tensor) -> Tensor:
        """Return the cosine between goals (B, 64) and each taught task's prototype, (B, K), in [-1, 1]."""
        return functional.normalize(goals, dim=-1) @ functional.normalize(self.prototypes(), dim=-1).T


class GoalConditionedActor(nn.Module):
    """The unified policy's actor: (state (B, n), goal (B, 64)) -> mean action (B, k) in [-1, 1].

    The goal scales and shifts every hidden layer before its ReLU (FiLM). So a fixed goal turns the actor into a plain
    perceptron (``for_goal``), which is what runs on the robot.
    """

    def __init__(self, state_size: int, action_size: int, hidden: Sequence[int] = (256, 256)) -> None:
        """Make an actor with the given hidden layers."""
        super().__init__()
        self.state_size = state_size
        self.action_size = action_size
        self.hidden = tuple(hidden)
        self.normaliser = Normaliser(state_size)
        self.layers = mlp((state_size, *hidden, action_size))
        self.modulation = nn.Linear(GOAL_SIZE, 2 * sum(hidden))

    def _gains_and_shifts(self, goal: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return (gain, shift), each (B, H), of each hidden layer."""
        gains, shifts = self.modulation(goal).chunk(2, dim=-1)
        split = [int(size) for size in self.hidden]
        return list(zip(gains.split(split, -1), shifts.split(split, -1), strict=True))

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, state: Tensor, goal: Tensor) -> Tensor:
        """Return the mean action for each pair of state and goal."""
        return torch.tanh(self.raw(self.normaliser(state), goal))

    def raw(self, values: Tensor, goal: Tensor) -> Tensor:
        """Return what the last tanh takes, (B, k), for normalised states (B, n) and goals (B, 64) or one (64,)."""
        *inner, last = self._linears()
        for linear, (gain, shift) in zip(inner, self._gains_and_shifts(goal), strict=True):
            values = functional.relu(linear(values) * (1 + gain) + shift)
        out: Tensor = last(values)
        return out

    def _at_goal(self, goal: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return weights (out, in) and biases (out,) of the layers, as the goal (64,) modulates them."""
        *inner, last = self._linears()
        layers = [
            (linear.weight * (1 + gain).unsqueeze(-1), linear.bias * (1 + gain) + shift)
            for linear, (gain, shift) in zip(inner, self._gains_and_shifts(goal), strict=True)
        ]
        return [*layers, (last.weight.clone(), last.bias.clone())]

    @torch.inference_mode()
    def for_goal(self, goal: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the layers of the plain perceptron that this actor is for one goal (64,), the normaliser folded in."""
        (weight, bias), *others = self._at_goal(goal)
        weight = weight / self.normaliser.scale
        return [(weight, bias - weight @ self.normaliser.centre), *others]

    @torch.no_grad()
    def at_goal(self, goal: Tensor) -> Actor:
        """Return that perceptron as an expert's actor, which can be trained on."""
        actor = Actor(self.state_size, self.action_size, self.hidden)
        actor.normaliser.load_state_dict(self.normaliser.state_dict())
        plain = (layer for layer in actor.layers if isinstance(layer, nn.Linear))
        for layer, (weight, bias) in zip(plain, self._at_goal(goal), strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return actor
