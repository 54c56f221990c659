"""Soft actor-critic for several tasks, an agent each, and Distral, which gives them a shared policy to stay close to.

The agents' weights are stacked and learn in one pass, but no number of one ever meets one of another: losses are summed
over agents, and Adam works on each weight by itself. For agent i, with temperature alpha and shared policy pi_0,

    V_i(s)  = E_{a ~ pi_i} [ min_c Q_ic(s, a) - alpha (log pi_i(a|s) - share log pi_0(a|s)) ]
    y       = r + gamma V_i(s'),                 Q_ic towards y,  pi_i towards the largest V_i.

share = 0 is SAC. Otherwise alpha = c_KL + c_Ent and share = c_KL / alpha of Distral (Teh et al. 2017, Eq. 1: the reward
less c_KL log(pi_i / pi_0) + c_Ent log pi_i), and pi_0 is distilled from all pi_i by cross-entropy (their Eq. 6).

**Arriving must not cost the entropy.** It is positive in every step, so an episode that ends at the goal would lose
what wandering about goes on to earn: up to alpha log C / (1 - gamma), which may well be more than a goal's reward of 1,
and the best policy would avoid the goal. What ends in success is therefore worth that much (``end_value``), as if the
highest entropy were earned for ever after. C discrete actions have at most the entropy log C, and with a shared policy

    max_pi E_pi[-log pi + share log pi_0] = log sum_a pi_0(a)^share <= (1 - share) log C       (Jensen; 0 <= share < 1).

With densities the sum is an integral over the k entries of an action in [-1, 1], and C their volume 2^k. Critics of
discrete actions begin at that value too: from zero, every place that has been visited would look better than any that
has not, and nobody would go on. Critics of continuous actions, which are networks, begin near zero; with them no task
that ends has been measured.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_trainer.ot_regularised.config import SacConfig
from polytask_trainer.ot_regularised.networks import Choices, ContinuousPolicy, Critics, DiscretePolicy


@dataclass(frozen=True)
class Batch:
    """Transitions of each of M agents: states (M, B, n) or cells int64 (M, B), actions (M, B, k) or int64 (M, B), the
    others (M, B).
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    next_states: Tensor
    terminated: Tensor


class Sac:
    """The agents of M tasks, and one shared policy for each ``group`` of so many.

    States are float32 (M, B, n), normalised; without hidden layers networks are tables and states cells, int64 (M, B).
    """

    def __init__(
        self,
        agents: int,
        sizes: tuple[int, int],
        discrete: bool,
        config: SacConfig,
        generator: torch.Generator,
        *,
        group: int = 1,
        share: float = 0.0,
    ) -> None:
        """``sizes``: of a state, or how many cells; how many actions, or size of one."""
        self.config, self.generator, self.discrete, self.share = config, generator, discrete, share
        self._log_choices = math.log(sizes[1]) if discrete else sizes[1] * math.log(2.0)
        self._groups = agents // group
        kind = DiscretePolicy if discrete else ContinuousPolicy
        self.policy = kind(agents, *sizes, config.hidden, generator)
        self.prior = kind(self._groups, *sizes, config.hidden, generator) if share else None
        self.critics = Critics(agents, sizes, discrete, config.hidden, generator)
        self.target = copy.deepcopy(self.critics)
        self.log_alpha = torch.full((agents, 1), math.log(config.temperature))
        self.log_alpha.requires_grad_(config.target_entropy is not None)
        self.optimizers = {
            "policy": torch.optim.Adam(self.policy.parameters(), lr=config.learning_rate, fused=True),
            "critics": torch.optim.Adam(self.critics.parameters(), lr=config.learning_rate, fused=True),
        }
        if self.prior is not None:
            self.optimizers["prior"] = torch.optim.Adam(self.prior.parameters(), lr=config.learning_rate, fused=True)
        if config.target_entropy is not None:
            self.optimizers["alpha"] = torch.optim.Adam([self.log_alpha], lr=config.learning_rate)

    @torch.no_grad()
    def act(self, states: NDArray[np.generic], greedy: bool = False) -> NDArray[np.generic]:
        """Actions int64 (M, B) or float32 (M, B, k)."""
        found: NDArray[np.generic] = self.policy.act(torch.from_numpy(states), self.generator, greedy).numpy()
        return found

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of everything; returns the losses, summed over agents."""
        critic_loss = self._critic_loss(batch)
        self._step("critics", critic_loss)
        choices = self.policy.choices(batch.states, self.generator)
        policy_loss = self._policy_loss(choices, batch.states)
        self._step("policy", policy_loss)
        losses = {"critic_loss": critic_loss.detach(), "policy_loss": policy_loss.detach()}
        if self.prior is not None:
            losses["prior_loss"] = self._prior_loss(choices, batch.states)
            self._step("prior", losses["prior_loss"])
        if self.config.target_entropy is not None:
            entropy = -(choices.probability * choices.log).sum(-1).mean(-1, keepdim=True).detach()
            self._step("alpha", (self.log_alpha * (entropy - self.config.target_entropy)).sum())
        with torch.no_grad():
            slow: list[Tensor] = list(self.target.parameters())
            torch._foreach_lerp_(slow, list(self.critics.parameters()), self.config.critic_rate)
        return losses

    def _step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        parameters = optimizer.param_groups[0]["params"]
        optimizer.zero_grad()
        loss.backward(inputs=parameters)  # what the loss reaches besides is not to learn from it
        optimizer.step()

    def end_value(self) -> Tensor:
        """The value (M, 1) of having arrived; see above."""
        entropy = (1.0 - self.share) * self._log_choices * self.log_alpha.detach().exp()
        return entropy / (1.0 - self.config.gamma)

    def _values(self, critics: Critics, states: Tensor, actions: Tensor | None) -> Tensor:
        """Both critics' values (2, M, B, C): of discrete actions as what is learned beside ``end_value``."""
        values: Tensor = critics(states, actions)
        return values + self.end_value().unsqueeze(-1) if self.discrete else values

    def _regularised(self, choices: Choices, states: Tensor) -> Tensor:
        """Return alpha (log pi - share log pi_0), (M, B, C)."""
        log = choices.log
        if self.prior is not None:
            log = log - self.share * self._shared(choices, states)
        return self.log_alpha.detach().exp().unsqueeze(-1) * log

    def _shared(self, choices: Choices, states: Tensor) -> Tensor:
        """log pi_0 of the choices, (M, B, C): a group's shared policy sees its agents' states in one batch."""
        assert self.prior is not None
        if choices.raw is not None:
            choices = Choices(choices.probability, choices.log, raw=self._joined(choices.raw))
        return self.prior.log_of(choices, self._joined(states)).view_as(choices.log)

    def _joined(self, values: Tensor) -> Tensor:
        return values.reshape(self._groups, -1, *values.shape[2:])

    def _critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            choices = self.policy.choices(batch.next_states, self.generator)
            values = self._values(self.target, batch.next_states, choices.actions).amin(0)
            values = (choices.probability * (values - self._regularised(choices, batch.next_states))).sum(-1)
            wanted = batch.rewards + self.config.gamma * torch.where(batch.terminated, self.end_value(), values)
        if self.discrete:
            index = batch.actions.expand(2, -1, -1).unsqueeze(-1)
            found = self._values(self.critics, batch.states, None).gather(-1, index).squeeze(-1)
        else:
            found = self._values(self.critics, batch.states, batch.actions).squeeze(-1)
        loss: Tensor = (found - wanted).square().mean(-1).sum()
        return loss

    def _policy_loss(self, choices: Choices, states: Tensor) -> Tensor:
        """Less V: exact over discrete actions, through the drawn action otherwise."""
        values = self._values(self.critics, states, choices.actions).amin(0)
        values = values.detach() if self.discrete else values
        loss: Tensor = (choices.probability * (self._regularised(choices, states) - values)).sum(-1).mean(-1).sum()
        return loss

    def _prior_loss(self, choices: Choices, states: Tensor) -> Tensor:
        """Cross-entropy of the shared policy with all agents', who do not learn from it."""
        fixed = Choices(
            choices.probability.detach(),
            choices.log.detach(),
            raw=None if choices.raw is None else choices.raw.detach(),
        )
        return -(fixed.probability * self._shared(fixed, states)).sum(-1).mean(-1).sum()
