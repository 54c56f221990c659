"""Networks of several agents in one: stacks of perceptrons or tables, policies and critics made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_STD = (-5.0, 1.0)
"""Bounds of a continuous policy's log standard deviation."""


class Stack(nn.Module):
    """A perceptron with ReLU for each of M members, as one batch of matrix products: (M, B, n) -> (M, B, out)."""

    def __init__(self, members: int, sizes: Sequence[int], generator: torch.Generator, gain: float = 1.0) -> None:
        """``gain`` multiplies the last layer's orthogonal weights: small, so that no action is preferred at first."""
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            weight = torch.empty(members, inputs, outputs)
            for one in weight:
                nn.init.orthogonal_(one, gain if layer == len(sizes) - 2 else 1.0, generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(members, 1, outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """Each member's output for its own inputs."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, torch.relu(x) if layer else x, weight)
        return x


class Table(nn.Module):
    """A row of numbers for every cell, for each of M members: cells int64 (M, B) -> (M, B, out)."""

    def __init__(self, members: int, cells: int, outputs: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(members, cells, outputs))

    def forward(self, cells: Tensor) -> Tensor:
        """Each member's rows."""
        return self.rows.gather(1, cells.unsqueeze(-1).expand(-1, -1, self.rows.shape[-1]))


def stack(members: int, sizes: Sequence[int], generator: torch.Generator) -> nn.Module:
    """Perceptrons whose outputs are near 0 at first; without a hidden layer, tables."""
    return Stack(members, sizes, generator, gain=0.01) if len(sizes) > 2 else Table(members, *sizes)


@dataclass(frozen=True)
class Choices:
    """What a policy may do in each state: all C discrete actions, or one drawn continuous one (C = 1).

    ``probability`` and ``log`` are (M, B, C), of a drawn one 1 and its log density; ``actions`` (M, B, k) and ``raw``,
    the same before the tanh, are there for continuous actions only.
    """

    probability: Tensor
    log: Tensor
    actions: Tensor | None = None
    raw: Tensor | None = None


class DiscretePolicy(nn.Module):
    """A categorical distribution over ``actions`` for each of M members."""

    def __init__(
        self, members: int, states: int, actions: int, hidden: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.layers = stack(members, (states, *hidden, actions), generator)

    def choices(self, states: Tensor, generator: torch.Generator) -> Choices:
        """All actions, for states (M, B, n)."""
        log = functional.log_softmax(self.layers(states), dim=-1)
        return Choices(log.exp(), log)

    def log_of(self, choices: Choices, states: Tensor) -> Tensor:
        """Log probability (M, B, C) under this policy of what another one may choose."""
        return functional.log_softmax(self.layers(states), dim=-1)

    def act(self, states: Tensor, generator: torch.Generator, greedy: bool) -> Tensor:
        """Actions int64 (M, B)."""
        logits = self.layers(states)
        if greedy:
            chosen: Tensor = logits.argmax(-1)
            return chosen
        # The largest of logits with Gumbel noise is a sample of the softmax.
        noise = torch.empty_like(logits).exponential_(generator=generator).log_()
        drawn: Tensor = (logits - noise).argmax(-1)
        return drawn


class ContinuousPolicy(nn.Module):
    """A Gaussian squashed by tanh (Haarnoja et al. 2018, appendix C) for each of M members."""

    def __init__(
        self, members: int, states: int, actions: int, hidden: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.layers = stack(members, (states, *hidden, 2 * actions), generator)

    def _normal(self, states: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.layers(states).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD)

    def choices(self, states: Tensor, generator: torch.Generator) -> Choices:
        """One action for each of states (M, B, n), drawn so that gradients reach the policy through it."""
        mean, log_std = self._normal(states)
        raw = mean + log_std.exp() * torch.empty_like(mean).normal_(generator=generator)
        log = _log_density(raw, mean, log_std)
        return Choices(torch.ones_like(log), log, torch.tanh(raw), raw)

    def log_of(self, choices: Choices, states: Tensor) -> Tensor:
        """Log density (M, B, 1) under this policy of what another one has drawn."""
        assert choices.raw is not None
        return _log_density(choices.raw, *self._normal(states))

    def act(self, states: Tensor, generator: torch.Generator, greedy: bool) -> Tensor:
        """Actions float32 (M, B, k) in [-1, 1]."""
        if greedy:
            return torch.tanh(self._normal(states)[0])
        actions = self.choices(states, generator).actions
        assert actions is not None
        return actions


def _log_density(raw: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log density (M, B, 1) of tanh(raw) where raw is normal; 1 - tanh(x)^2 in a form that cannot underflow."""
    normal = -0.5 * ((raw - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(2.0 * math.pi)
    squash = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
    return (normal - squash).sum(-1, keepdim=True)


class Critics(nn.Module):
    """Two critics for each of M agents: (2, M, B, C) values of C choices; a continuous action is an input."""

    def __init__(
        self, agents: int, sizes: tuple[int, int], discrete: bool, hidden: Sequence[int], generator: torch.Generator
    ) -> None:
        """``sizes``: of a state, and how many actions or of an action."""
        super().__init__()
        inputs, outputs = (sizes[0], sizes[1]) if discrete else (sum(sizes), 1)
        self._agents = agents
        self.layers = stack(2 * agents, (inputs, *hidden, outputs), generator)

    def forward(self, states: Tensor, actions: Tensor | None) -> Tensor:
        """Values for states (M, B, n) and, unless they are discrete, actions (M, B, k)."""
        x = states if actions is None else torch.cat([states, actions], dim=-1)
        found: Tensor = self.layers(torch.cat([x, x]))
        pairs: Tensor = found.unflatten(0, (2, self._agents))
        return pairs
