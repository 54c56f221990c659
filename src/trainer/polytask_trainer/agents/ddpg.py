"""DrQ-v2's n-step DDPG on states, with a behaviour-cloning term in the actor's loss (PolyTask Eqs. 1, 6, 7, 8)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.replay.states import Batch


@dataclass(frozen=True)
class AgentConfig:
    """Hyper-parameters of the agent; comments give the paper's value (Table IV) where this one differs."""

    hidden: tuple[int, ...] = (128, 128)
    """Hidden layers of actor and critics (paper: 1024 wide, for pixels)."""
    action_copies: int = 1
    """How often the critics are shown the action beside the state (papers' code: 200 times, beside 512 features)."""
    learning_rate: float = 3e-4
    """Adam, actor and critics (paper: 1e-4, for 50 times the steps)."""
    batch_size: int = 128
    """Transitions, and demonstration pairs, per update (paper: 256)."""
    gamma: float = 0.99
    n_step: int = 3
    critic_rate: float = 0.01
    """Polyak rate of the target critics."""
    noise: float = 0.1
    """Standard deviation of the exploration and of the actor's smoothing noise."""
    noise_clip: float = 0.3
    """Bound of the smoothing noise."""
    bc_lambda: float = 0.25
    """lambda of Eq. 1: share of the behaviour-cloning loss."""
    bc_alpha: float = 0.3
    """alpha of Eq. 1: its weight."""
    bc_noise: float = 0.1
    """Standard deviation under which the demonstrated actions' negative log likelihood is that loss, as in the papers'
    code: the squared error of the paper's Eq. 1 divided by 2 bc_noise^2."""
    saturation: float = 0.01
    """Weight of the mean square of the actor's output before its tanh, where gradients vanish as it grows."""
    average_rate: float = 0.002
    """Rate at which the averaged actor, which becomes the expert, follows the trained one."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.hidden or any(size < 1 for size in self.hidden):
            raise ValueError(f"agent.hidden must be positive sizes, not {self.hidden}")
        for name in ("action_copies", "learning_rate", "batch_size", "n_step"):
            if not getattr(self, name) > 0:
                raise ValueError(f"agent.{name} must be positive, not {getattr(self, name)}")
        for name in ("gamma", "critic_rate", "bc_lambda", "average_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"agent.{name} must lie in [0, 1], not {getattr(self, name)}")
        for name in ("noise", "noise_clip", "bc_alpha", "saturation"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"agent.{name} must not be negative, not {getattr(self, name)}")


_OPTIMIZERS = ("actor_optimizer", "critic_optimizer")

Losses = dict[str, Any]
"""Figures for the log, each a number or a tensor that is one."""


class TwinCritic(nn.Module):
    """Two Q networks evaluated as one batch of matrix products: (states (B, n), actions (B, k)) -> (2, B)."""

    def __init__(
        self, sizes: tuple[int, int], copies: int, hidden: tuple[int, ...], generator: torch.Generator
    ) -> None:
        """``sizes`` are n and k; the action is taken ``copies`` times."""
        super().__init__()
        self._copies = copies
        inputs = sizes[0] + copies * sizes[1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size, out in itertools.pairwise((inputs, *hidden, 1)):
            # A single column lies in memory as a row: products with it are six times as quick then.
            weight = torch.empty(2, out, size).mT if out == 1 else torch.empty(2, size, out)
            for one in weight:
                nn.init.orthogonal_(one, generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(2, 1, out)))

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return both estimates; ``states`` are normalised."""
        x = torch.cat([states, actions.repeat(1, self._copies)], dim=1).expand(2, -1, -1)
        for weight, bias in itertools.islice(zip(self.weights, self.biases, strict=True), len(self.weights) - 1):
            x = torch.relu(torch.baddbmm(bias, x, weight))
        return torch.baddbmm(self.biases[-1], x, self.weights[-1]).squeeze(2)


class ActorNetwork(Protocol):
    """What the agent needs of its actor: ``tanh(layers(see(state)))`` is the mean action."""

    @property
    def seen_size(self) -> int:
        """Width of what ``see`` gives."""
        ...

    @property
    def state_size(self) -> int:
        """Entries of a state."""
        ...

    @property
    def action_size(self) -> int:
        """Entries of an action."""
        ...

    @property
    def layers(self) -> nn.Module:
        """What the actor's loss trains: (..., seen) -> action (..., k) before its tanh."""
        ...

    def see(self, state: Tensor) -> Tensor:
        """Return what ``layers`` and the critics take of a state."""
        ...

    def __call__(self, state: Tensor) -> Tensor:
        """Return the mean action."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All weights, as a module gives them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All weights and buffers, as a module gives them."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take over what ``state_dict`` gave."""
        ...


Network = TypeVar("Network", bound=ActorNetwork)
"""The actor's class."""


class DDPG(Generic[Network]):
    """The agent: a deterministic actor, two critics with slow targets, and demonstrations that hold the actor."""

    networks: tuple[str, ...] = ("actor", "average", "best", "critic", "target")
    """What a resumable training has to keep, beside the optimizers."""
    actor: Network
    average: Network
    best: Network

    def __init__(
        self,
        actor: Network,
        demonstrations: tuple[NDArray[np.float32], NDArray[np.float32]],
        config: AgentConfig,
        generator: torch.Generator,
        rehearse: Callable[[torch.Generator], Tensor] | None = None,
    ) -> None:
        """``actor`` is pre-trained on ``demonstrations``: states (N, n) and actions (N, k).

        ``rehearse`` gives a loss to add to the actor's at each update: of what must not be forgotten meanwhile.
        """
        self.config, self.generator, self._rehearse = config, generator, rehearse
        self.actor, self.average, self.best = actor, copy.deepcopy(actor), copy.deepcopy(actor)
        self.critic = TwinCritic((actor.seen_size, actor.action_size), config.action_copies, config.hidden, generator)
        self.target = copy.deepcopy(self.critic)
        self.actor_optimizer = torch.optim.Adam(actor.parameters(), lr=config.learning_rate, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=config.learning_rate, fused=True)
        self._demo_states, self._demo_actions = (torch.from_numpy(array) for array in demonstrations)
        self.imitated = len(self._demo_states)
        """How many of the demonstrations' pairs are drawn from, the first ones; not to change once updates are recorded
        (:class:`~polytask_trainer.agents.cuda_graph.Graphed`)."""

    def to_tensors(self) -> dict[str, Tensor]:
        """Networks and optimizers, for a checkpoint; not the generator."""
        tensors: dict[str, Tensor] = {}
        for name in self.networks:
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        for name in _OPTIMIZERS:
            tensors |= {f"{name}.{key}": value for key, value in moments(getattr(self, name)).items()}
        return tensors

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave."""
        for name in self.networks:
            getattr(self, name).load_state_dict(under(tensors, name))
        for name in _OPTIMIZERS:
            load_moments(getattr(self, name), under(tensors, name))

    def keep_best(self) -> None:
        """Remember the averaged actor as it is now."""
        self.best.load_state_dict(self.average.state_dict())

    @torch.no_grad()
    def act(self, state: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
        """Return the action float32 (k,) for a state float32 (n,), with Gaussian noise, within [-1, 1]."""
        mean = self.actor(torch.from_numpy(state))
        action: NDArray[np.float32] = (mean + noise * self._normal(mean)).clamp(-1.0, 1.0).numpy()
        return action

    def update(self, batch: Batch, train_actor: bool = True) -> dict[str, Tensor]:
        """One step of the critics and, unless told otherwise, of the actor; returns losses for the log."""
        states, next_states = self.actor.see(batch.state), self.actor.see(batch.next_state)
        log = self._update_critic(batch, states, next_states)
        if train_actor:
            log |= self._update_actor(states)
        return log

    def _update_critic(self, batch: Batch, states: Tensor, next_states: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            smoothed = self._smoothed(torch.tanh(self.actor.layers(next_states)))
            value = self.target(next_states, smoothed).amin(0)
            y = batch.reward + batch.discount * value  # Eq. 8
        q = self.critic(states, batch.action)
        loss = (q - y).square().mean(1).sum()  # Eq. 7
        self.critic_optimizer.zero_grad()
        log = self._critic_gradient(loss, batch)
        self.critic_optimizer.step()
        with torch.no_grad():
            _follow(self.target, self.critic, self.config.critic_rate)
        return {"critic_loss": loss.detach(), "q": y.mean(), **log}

    def _critic_gradient(self, loss: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Add the gradient of Eq. 7; gives what there is to log of it."""
        loss.backward()
        return {}

    def _update_actor(self, states: Tensor) -> dict[str, Tensor]:
        demo, shown = self._demonstrated(self._draw())
        raw = self.actor.layers(torch.cat([states, demo]))
        actions = torch.tanh(raw)
        own, cloned = actions[: len(states)], actions[len(states) :]
        q = self.critic(states, self._smoothed(own)).amin(0)
        log = self._actor_loss(q, cloned - shown, raw)
        loss = log["actor_loss"]
        if self._rehearse is not None:
            loss = loss + self._rehearse(self.generator)
        self.actor_optimizer.zero_grad()
        loss.backward(inputs=list(self.actor.layers.parameters()))  # the critics' own gradients are not wanted here
        self.actor_optimizer.step()
        with torch.no_grad():
            _follow(self.average, self.actor, self.config.average_rate)
        return {"actor_loss": loss.detach(), "bc_loss": log["bc_loss"].detach()}

    def _draw(self) -> Tensor:
        """Numbers (B,) of the demonstration pairs for an update."""
        size = (self.config.batch_size,)
        return torch.randint(self.imitated, size, generator=self.generator, device=self.generator.device)

    def _actor_loss(self, q: Tensor, difference: Tensor, raw: Tensor) -> dict[str, Tensor]:
        """Eq. 1 of values (B,), of differences (B, k) from what was demonstrated, and of the actor before its tanh."""
        config = self.config
        bc = difference.square().sum(1).mean() / (2.0 * config.bc_noise**2)
        loss = -(1.0 - config.bc_lambda) * q.mean() + config.bc_alpha * config.bc_lambda * bc  # Eq. 1
        loss = loss + config.saturation * raw.square().mean()  # not in the paper: keeps the tanh from saturating
        return {"actor_loss": loss, "bc_loss": bc}

    def _demonstrated(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the actor's perceptron, and actions, of the demonstration pairs ``index`` (B,)."""
        return self.actor.see(self._demo_states[index]), self._demo_actions[index]

    def _smoothed(self, mean: Tensor) -> Tensor:
        bound = self.config.noise_clip
        noisy = mean + self._normal(mean).mul_(self.config.noise).clamp_(-bound, bound)
        if not noisy.requires_grad:
            return noisy.clamp_(-1.0, 1.0)
        # Clamp the value but pass the gradient, as DrQ-v2's truncated normal does.
        return noisy.detach().clamp(-1.0, 1.0) + (noisy - noisy.detach())

    def _normal(self, like: Tensor) -> Tensor:
        return torch.empty_like(like).normal_(generator=self.generator)


def _follow(slow: ActorNetwork | nn.Module, fast: ActorNetwork | nn.Module, rate: float) -> None:
    """Move the weights of ``slow`` towards those of ``fast`` by ``rate`` (Polyak)."""
    slow_weights: list[Tensor] = list(slow.parameters())
    torch._foreach_lerp_(slow_weights, list(fast.parameters()), rate)
