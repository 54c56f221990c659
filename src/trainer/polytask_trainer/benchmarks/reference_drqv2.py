"""The pixel agent as a textbook would write it, which the one that is used is measured against."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from polytask_policy.networks import mlp
from polytask_policy.pixel_networks import PixelActor
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.drqv2 import Seen
from polytask_trainer.replay.augment import SHIFT
from polytask_trainer.replay.pixels import PixelBatch


class Textbook:
    """DrQ-v2 with the BC term of Eq. 1, module by module and parameter by parameter, as tutorials write it."""

    def __init__(self, actor: PixelActor, shown: Seen, config: AgentConfig, device: torch.device) -> None:
        self.config, self.actor = config, actor.to(device)
        self.average = copy.deepcopy(self.actor)
        inputs = actor.seen_size + config.action_copies * actor.action_size
        sizes = (inputs, *config.hidden, 1)
        self.critics = nn.ModuleList(mlp(sizes) for _ in range(2)).to(device)
        self.targets = copy.deepcopy(self.critics)
        rate = config.learning_rate
        self.encoder_optimizer = torch.optim.Adam(self.actor.encoder.parameters(), lr=rate)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), lr=rate)
        self.actor_optimizer = torch.optim.Adam(self.actor.layers.parameters(), lr=rate)
        self.shown = [torch.from_numpy(part).to(device) for part in (shown.states, shown.pictures, shown.actions)]

    def update(self, batch: PixelBatch) -> None:
        """One step of critics, encoder and actor."""
        config = self.config
        seen = self._see(batch.state, batch.pictures)
        with torch.no_grad():
            next_seen = self._see(batch.next_state, batch.next_pictures)
            action = self._noisy(torch.tanh(self.actor.layers(next_seen)))
            value = torch.min(*(self._value(critic, next_seen, action) for critic in self.targets))
            y = batch.reward + batch.discount * value
        loss = torch.zeros((), device=y.device)
        for critic in self.critics:
            loss = loss + functional.mse_loss(self._value(critic, seen, batch.action), y)
        self.encoder_optimizer.zero_grad()
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        self.encoder_optimizer.step()

        seen = seen.detach()
        action = self._noisy(torch.tanh(self.actor.layers(seen)))
        q = torch.min(*(self._value(critic, seen, action) for critic in self.critics)).mean()
        index = torch.randint(len(self.shown[0]), (config.batch_size,))
        states, pictures, actions = (part[index] for part in self.shown)
        with torch.no_grad():
            demo = self._see(states, pictures)
        cloned = torch.tanh(self.actor.layers(demo))
        bc = (cloned - actions).square().sum(1).mean() / (2.0 * config.bc_noise**2)
        loss = -(1.0 - config.bc_lambda) * q + config.bc_alpha * config.bc_lambda * bc
        self.actor_optimizer.zero_grad()
        loss.backward()
        self.actor_optimizer.step()
        for slow, fast, speed in (
            (self.targets, self.critics, config.critic_rate),
            (self.average, self.actor, config.average_rate),
        ):
            for kept, new in zip(slow.parameters(), fast.parameters(), strict=True):
                kept.data.copy_(speed * new.data + (1 - speed) * kept.data)

    def _see(self, states: Tensor, pictures: Tensor) -> Tensor:
        return self.actor.see(states, _shifted(pictures.float()))

    def _value(self, critic: nn.Module, seen: Tensor, action: Tensor) -> Tensor:
        value: Tensor = critic(torch.cat([seen, action.repeat(1, self.config.action_copies)], dim=1))
        return value.squeeze(1)

    def _noisy(self, mean: Tensor) -> Tensor:
        noise = (self.config.noise * torch.randn_like(mean)).clamp(-self.config.noise_clip, self.config.noise_clip)
        return (mean + noise).clamp(-1.0, 1.0)


def _shifted(pictures: Tensor) -> Tensor:
    """Random shifts as published: padding and bilinear sampling of the whole picture."""
    batch, _, size, _ = pictures.shape
    pad = max(1, round(SHIFT * size))
    pictures = functional.pad(pictures, (pad,) * 4, "replicate")
    step = 1.0 / (size + 2 * pad)
    line = torch.linspace(-1.0 + step, 1.0 - step, size + 2 * pad, device=pictures.device)[:size]
    line = line.unsqueeze(0).repeat(size, 1).unsqueeze(2)
    base = torch.cat([line, line.transpose(1, 0)], dim=2).unsqueeze(0).repeat(batch, 1, 1, 1)
    shift = torch.randint(0, 2 * pad + 1, (batch, 1, 1, 2), device=pictures.device) * 2.0 * step
    return functional.grid_sample(pictures, base + shift, padding_mode="zeros", align_corners=False)
