"""Networks of policies that see: an encoder of camera frames, and an actor on its features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask_policy.networks import Normaliser, mlp
from polytask_policy.policy_spec import Pictures

CHANNELS = 32
STRIDES = (2, 1, 1, 1)
"""Of the papers' convolutions."""


class PixelEncoder(nn.Module):
    """Stacked frames uint8 (..., 3 stack, size, size) -> features float32 (..., feature) in [-1, 1].

    The papers' encoder: convolutions of 3x3 with ReLU, then a linear layer, LayerNorm and tanh. A goal picture goes
    through it as a stack of one frame repeated.
    """

    def __init__(self, pictures: Pictures, feature: int, strides: Sequence[int] = STRIDES) -> None:
        super().__init__()
        self.pictures, self.feature, self.strides = pictures, feature, tuple(strides)
        layers: list[nn.Module] = []
        channels, side = 3 * pictures.stack, pictures.size
        for stride in strides:
            convolution = nn.Conv2d(channels, CHANNELS, 3, stride)
            nn.init.orthogonal_(convolution.weight, nn.init.calculate_gain("relu"))
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            layers += [convolution, nn.ReLU()]
            channels, side = CHANNELS, (side - 3) // stride + 1
        if side < 1:
            raise ValueError(f"pictures of {pictures.size} pixels are too small: nothing is left of them")
        self.convolutions = nn.Sequential(*layers)
        self.projection = nn.Sequential(mlp((channels * side * side, feature)), nn.LayerNorm(feature), nn.Tanh())

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features of each stack."""
        lead = pictures.shape[:-3]
        features = self.features(pictures.reshape(-1, *pictures.shape[-3:]).float() / 255.0 - 0.5)
        return features.reshape(*lead, self.feature)

    def features(self, centred: Tensor) -> Tensor:
        """Return the features (B, feature) of stacks float32 (B, 3 stack, size, size) in [-0.5, 0.5]."""
        features: Tensor = self.projection(self.convolutions(centred).flatten(1))
        return features


class PixelActor(nn.Module):
    """An expert's policy from pictures and some entries of the state: mean action float32 (..., k) in [-1, 1].

    DrQ-v2's actor: a perceptron with ReLU and a final tanh on the encoder's features beside the normalised state.
    """

    def __init__(
        self,
        pictures: Pictures,
        state_size: int,
        action_size: int,
        hidden: Sequence[int] = (256, 256),
        feature: int = 64,
        strides: Sequence[int] = STRIDES,
    ) -> None:
        super().__init__()
        self.pictures = pictures
        self.state_size, self.seen_size = state_size, feature + state_size
        self.action_size = action_size
        self.hidden = tuple(hidden)
        self.encoder = PixelEncoder(pictures, feature, strides)
        self.normaliser = Normaliser(state_size)
        self.layers = mlp((self.seen_size, *hidden, action_size))

    def forward(self, state: Tensor, pictures: Tensor) -> Tensor:
        """Return the mean action for states float32 (..., n) and stacked frames uint8 (..., 3 stack, size, size)."""
        return torch.tanh(self.layers(self.see(state, pictures)))

    def see(self, state: Tensor, pictures: Tensor) -> Tensor:
        """Return what the perceptron and the critics take, float32 (..., feature + n)."""
        return torch.cat([self.encoder(pictures), self.normaliser(state)], dim=-1)
