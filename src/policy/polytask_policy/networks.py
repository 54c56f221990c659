"""Networks of the experts and of the unified policy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normaliser(nn.Module):
    """Brings a state to about unit size: ``(state - centre) / scale``.

    Both are buffers, so they travel in the checkpoint with the weights that were trained on them.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def set(self, centre: Tensor, scale: Tensor | float) -> None:
        """Set centre (n,) and scale (n,) or one number, in the state's own units; every scale must be positive."""
        wanted = torch.as_tensor(scale, dtype=torch.float32).expand_as(self.scale)
        if not bool((wanted > 0).all()):
            raise ValueError(f"every scale must be positive, the smallest is {float(wanted.min())}")
        self.centre.copy_(torch.as_tensor(centre, dtype=torch.float32))
        self.scale.copy_(wanted)

    def forward(self, state: Tensor) -> Tensor:
        """Normalise state float32 (..., n)."""
        return (state - self.centre) / self.scale


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them, none after the last; orthogonal weights, zero biases."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Actor(nn.Module):
    """An expert's policy: state float32 (..., n) -> mean action float32 (..., k) in [-1, 1].

    The mean of DrQ-v2's actor (the exploration noise is the agent's matter): a perceptron with ReLU and a final tanh,
    on the normalised state.
    """

    def __init__(self, state_size: int, action_size: int, hidden: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        self.state_size = self.seen_size = state_size
        self.action_size = action_size
        self.hidden = tuple(hidden)
        self.normaliser = Normaliser(state_size)
        self.layers = mlp((state_size, *hidden, action_size))

    def forward(self, state: Tensor) -> Tensor:
        """Return the mean action for each state."""
        return torch.tanh(self.layers(self.see(state)))

    def see(self, state: Tensor) -> Tensor:
        """Return what the perceptron and the critics take, float32 (..., n)."""
        normalised: Tensor = self.normaliser(state)
        return normalised
