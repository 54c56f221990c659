"""The goal space, and the policy conditioned on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from polytask_policy.networks import Actor, Normaliser, mlp
from polytask_policy.pixel_networks import PixelEncoder

GOAL_SIZE = 64
PICTURE_SIZE = 42
TASK_SLOTS = 64
"""Rows of the table of task names. Fixed, so that teaching one more task changes no shape."""


def _own_sight() -> nn.Sequential:
    """Return what turns a picture (B, 3, 42, 42), less 0.5, into 64 numbers for an actor that does not see."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2),  # 42 -> 20
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),  # 20 -> 9
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2),  # 9 -> 4
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, GOAL_SIZE),
    )


class SharedSight(nn.Module):
    """The same for an actor that sees: its own encoder, shown the picture as a stack of one frame, and a projection."""

    def __init__(self, encoder: PixelEncoder) -> None:
        super().__init__()
        self._actors = (encoder,)  # in a tuple, for it is the actor's part and not registered twice
        self.projection = nn.Linear(encoder.feature, GOAL_SIZE)

    def forward(self, pictures: Tensor) -> Tensor:
        """Turn pictures (B, 3, S, S), less 0.5, into 64 numbers."""
        [encoder] = self._actors
        stack = pictures.repeat(1, encoder.pictures.stack, 1, 1)
        projected: Tensor = self.projection(encoder.features(stack))
        return projected


class GoalEncoder(nn.Module):
    """Three projectors into one goal space of 64 numbers: sentences, pictures, task names.

    Each ends in a LayerNorm, so goals of every kind have the same length. The task embeddings serve as the tasks'
    prototypes: distillation pulls the other two kinds towards them. Their table has a fixed number of rows, of which
    the first ``taught`` are in use.
    """

    def __init__(self, language_size: int, taught: int, encoder: PixelEncoder | None = None) -> None:
        """Make projectors for sentence vectors of ``language_size``; the first ``taught`` task names are in use.

        ``encoder``: that of an actor that sees, whose features of a goal picture are projected then.
        """
        super().__init__()
        self.teach(taught)
        self.picture_size = encoder.pictures.size if encoder else PICTURE_SIZE
        self.language = nn.Linear(language_size, GOAL_SIZE)
        self.picture = SharedSight(encoder) if encoder else _own_sight()
        table = torch.empty(TASK_SLOTS, GOAL_SIZE)
        if not table.is_meta:  # there, one normal distribution would import half of torch, which takes seconds
            nn.init.normal_(table)
        self.task = nn.Embedding(TASK_SLOTS, GOAL_SIZE, _weight=table)

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
        """Project pictures float32 (B, 3, S, S) in [0, 1], S = ``picture_size``, to goals (B, 64)."""
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
    """The unified policy's actor: (state (B, n), goal (B, 64), pictures if it sees) -> mean action (B, k) in [-1, 1].

    The goal scales and shifts every hidden layer before its ReLU (FiLM). So a fixed goal turns the actor into a plain
    perceptron (``for_goal``), which is what runs on the robot.
    """

    def __init__(
        self, state_size: int, action_size: int, hidden: Sequence[int] = (256, 256), encoder: PixelEncoder | None = None
    ) -> None:
        """Make an actor with the given hidden layers; with an ``encoder`` it sees, and takes features and state."""
        super().__init__()
        self.state_size = state_size
        self.action_size = action_size
        self.hidden = tuple(hidden)
        self.encoder = encoder
        self.feature = encoder.feature if encoder else 0
        self.normaliser = Normaliser(state_size)
        self.layers = mlp((self.feature + state_size, *hidden, action_size))
        self.modulation = nn.Linear(GOAL_SIZE, 2 * sum(hidden))

    def _gains_and_shifts(self, goal: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return (gain, shift), each (B, H), of each hidden layer."""
        gains, shifts = self.modulation(goal).chunk(2, dim=-1)
        split = [int(size) for size in self.hidden]
        return list(zip(gains.split(split, -1), shifts.split(split, -1), strict=True))

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, state: Tensor, goal: Tensor, pictures: Tensor | None = None) -> Tensor:
        """Return the mean action for each state and goal, with stacked frames uint8 (B, 3 stack, S, S) if it sees."""
        return torch.tanh(self.raw(self.see(state, pictures), goal))

    def see(self, state: Tensor, pictures: Tensor | None = None) -> Tensor:
        """Return what the layers take: the normalised state (B, n), after the features of an actor that sees."""
        values: Tensor = self.normaliser(state)
        return values if self.encoder is None else torch.cat([self.encoder(pictures), values], dim=-1)

    def raw(self, values: Tensor, goal: Tensor) -> Tensor:
        """Return what the last tanh takes, (B, k), for goals (B, 64) or one (64,) and what :meth:`see` gives."""
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
        """Return the layers of the plain perceptron that this actor is for one goal (64,), the normaliser folded in.

        It takes the state, after the features of an actor that sees.
        """
        (weight, bias), *others = self._at_goal(goal)
        of_state = weight[:, self.feature :] / self.normaliser.scale
        bias = bias - of_state @ self.normaliser.centre
        return [(torch.cat([weight[:, : self.feature], of_state], dim=1), bias), *others]

    @torch.no_grad()
    def at_goal(self, goal: Tensor) -> Actor:
        """Return that perceptron as an expert's actor, which can be trained on; ValueError for an actor that sees."""
        if self.encoder is not None:
            raise ValueError("a policy that sees cannot start an expert of the state")
        actor = Actor(self.state_size, self.action_size, self.hidden)
        actor.normaliser.load_state_dict(self.normaliser.state_dict())
        plain = (layer for layer in actor.layers if isinstance(layer, nn.Linear))
        for layer, (weight, bias) in zip(plain, self._at_goal(goal), strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return actor
