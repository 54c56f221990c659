"""Advantages, the losses of PPO, and the weighted distillation loss: functions of tensors alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polytask_trainer.auxdistill.popart import LEAST_DEVIATION


def advantages(reward: Tensor, value: Tensor, ended: Tensor, last: Tensor, gamma: Tensor, lam: float) -> Tensor:
    """Generalised advantages (T, B) by equation 16 of Schulman et al. 2016.

    Args:
        reward: (T, B). Where an episode was cut by its horizon, γ V(final observation) has been added to its last
            reward: the episode would have gone on.
        value: V(o_t) (T, B), in units of reward.
        ended: bool (T, B), whether o_{t+1} belongs to another episode.
        last: V(o_T) (B,).
        gamma: discount of each environment's task (B,).
        lam: λ of the estimator.

    """
    found, running = torch.zeros_like(reward), torch.zeros_like(last)
    for time in reversed(range(len(reward))):
        goes_on = (~ended[time]).to(reward.dtype)
        error = reward[time] + gamma * goes_on * last - value[time]
        running = error + gamma * lam * goes_on * running
        found[time], last = running, value[time]
    return found


def per_task(advantage: Tensor, task: Tensor) -> Tensor:
    """Advantages (T, B) with mean 0 and deviation 1, or less where it was tiny, within each task (B,)."""
    found = advantage.clone()
    for i in task.unique().tolist():
        own = advantage[:, task == i]
        found[:, task == i] = (own - own.mean()) / own.std(correction=0).clamp(min=LEAST_DEVIATION)
    return found


def log_probability(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log density (...) of an action (..., k) under a Gaussian with independent entries."""
    scaled = (action - mean) * torch.exp(-log_std)
    return (-0.5 * scaled.square() - log_std - 0.5 * math.log(2.0 * math.pi)).sum(-1)


def policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Clipped surrogate of PPO (Schulman et al. 2017, equation 7), to be minimised."""
    return -torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage).mean()


def value_loss(value: Tensor, old: Tensor, target: Tensor, clip: float) -> Tensor:
    """Half the squared error of normalised values, the change since the rollout clipped."""
    clipped = old + (value - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((value - target).square(), (clipped - target).square()).mean()


def divergence(mean: Tensor, log_std: Tensor, other_mean: Tensor, other_log_std: Tensor) -> Tensor:
    """KL(N(mean, std) ‖ N(other)) of Gaussians with independent entries, summed over the k entries of actions."""
    spread = torch.exp(2.0 * (log_std - other_log_std))
    apart = ((mean - other_mean) * torch.exp(-other_log_std)).square()
    return (other_log_std - log_std + 0.5 * (spread + apart - 1.0)).sum(-1)


def distillation_loss(divergences: Tensor, relevance: Tensor) -> Tensor:
    """AuxDistill's loss on samples of the main task: Σ_i Σ_s f_i(s) KL_i(s) / Σ_s f_i(s).

    Each auxiliary task is divided by the sum of its own mask. So a stage that the main task has hardly reached yet
    counts as much as the first one, which it is always in; over the whole batch's number of samples instead, the later
    stages, where guidance is needed most, would begin with no weight. A sum below one divides by one: a few samples
    that hardly matter are not blown up.

    Args:
        divergences: KL_i(s) = KL(π(· | s, main) ‖ π(· | s, i)) (N, A), its second distribution without gradient.
        relevance: f_i(s) in [0, 1] (N, A).

    """
    return ((relevance * divergences).sum(0) / relevance.sum(0).clamp(min=1.0)).sum()
