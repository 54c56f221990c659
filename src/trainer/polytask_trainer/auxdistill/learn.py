"""AuxDistill: multi-task recurrent PPO, and the weighted distillation of auxiliary tasks into the main one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from polytask_policy.checkpoint import has_checkpoint
from polytask_trainer.auxdistill import losses
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.relevance import Relevance, make_relevance
from polytask_trainer.auxdistill.rollout import Player, Rollout
from polytask_trainer.auxdistill.state import Log, Training, save_policy
from polytask_trainer.experts.learn import LearnResult

FIRST_START = 1_000_000
"""Training draws its starts from here on; see docs/explanation/experiments.md."""
STARTS_PER_SEED = 10_000_000


def learn_auxdistill(
    config: AuxDistillConfig,
    env_factory: Callable[[Sequence[str]], Any],
    output: Path | str,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> LearnResult:
    """Learn all tasks at once and write the run folder ``output``.

    ``env_factory`` makes a batch of environments, with automatic resets in the same step, from the task of each. The
    same call resumes, and gives the same policy as one that was never stopped: every ``config.restart`` updates all
    environments begin anew, from seeds that the update says, and the state is written then. A finished one returns at
    once. ``on_progress`` gets phase,
    step, total_steps, episode_reward (of the main task) and elapsed after every update; ``should_stop`` is asked then
    too. Raises ResumeError when the folder holds another training.
    """
    began, output = time.monotonic(), Path(output)
    env = env_factory(config.env_tasks())
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    state_size, action_size = env.single_observation_space.shape[0], env.single_action_space.shape[0]
    policy = RecurrentPolicy(state_size, action_size, len(config.tasks), config.hidden, config.log_std)
    relevance = make_relevance(config, state_size, generator)
    optimizer = torch.optim.Adam(policy.parameters(), config.learning_rate, eps=1e-5)
    task = torch.tensor([config.tasks.index(name) for name in config.env_tasks()])
    gamma = torch.where(task == 0, config.main_gamma, config.gamma)
    player = Player(env, task, gamma, generator)

    training = Training(output / "training", config, policy, optimizer, relevance, generator)
    total = config.updates * config.num_envs * config.sequence
    resumed = training.load()
    if resumed is not None and has_checkpoint(output):
        return LearnResult(True, total, 0.0)
    first = resumed or 0
    log = Log(output, first, config, on_progress)
    try:
        for update in range(first, config.updates):
            if update % config.restart == 0:
                training.save(update)
                start = FIRST_START + STARTS_PER_SEED * config.seed + update // config.restart * config.num_envs
                player.restart(policy, start)
            if should_stop is not None and should_stop():
                return LearnResult(False, update * config.num_envs * config.sequence, time.monotonic() - began)
            optimizer.param_groups[0]["lr"] = config.learning_rate * (1.0 - update / config.updates)
            rollout = player.play(policy, config.sequence)
            weight = config.weight(update)
            measured = improve(config, policy, optimizer, relevance, rollout, task, gamma, generator, weight)
            log.update(update + 1, player, measured)
    finally:
        log.close()
        env.close()
    save_policy(output, policy, config)
    return LearnResult(True, total, time.monotonic() - began)


def improve(
    config: AuxDistillConfig,
    policy: RecurrentPolicy,
    optimizer: torch.optim.Optimizer,
    relevance: Relevance | None,
    rollout: Rollout,
    task: torch.Tensor,
    gamma: torch.Tensor,
    generator: torch.Generator,
    weight: float,
) -> dict[str, float]:
    """One update: epochs of minibatches of whole sequences. ``weight`` is λ; gives the mean distillation loss."""
    found = losses.advantages(
        rollout.reward, rollout.value, rollout.ended, rollout.last_value, gamma, config.gae_lambda
    )
    returns = found + rollout.value
    policy.value.update(returns, task, config.popart_rate)
    target, old_value = policy.value.normalise(returns, task), policy.value.normalise(rollout.value, task)
    advantage = losses.per_task(found, task)
    if relevance is not None:
        relevance.learn(rollout.observation, task)
    distilled: list[float] = []
    for _ in range(config.epochs):
        for part in torch.randperm(len(task), generator=generator).chunk(config.minibatches):
            features, _ = policy.features(rollout.observation[:, part], rollout.begins[:, part], rollout.hidden[part])
            mean, log_std = policy.action(features, task[part])
            log_probability = losses.log_probability(rollout.action[:, part], mean, log_std)
            ratio = (log_probability - rollout.log_probability[:, part]).exp()
            value = policy.normalised_value(features, task[part])
            loss = losses.policy_loss(ratio, advantage[:, part], config.clip)
            loss = loss + config.value_weight * losses.value_loss(
                value, old_value[:, part], target[:, part], config.clip
            )
            loss = loss - config.entropy_weight * log_std.sum(-1).mean()  # the entropy, but for a constant
            own = task[part] == 0
            if relevance is not None and own.any():
                main = part[own]
                observations, stages = rollout.observation[:, main].flatten(0, 1), rollout.stage[:, main].flatten()
                ours = mean[:, own].flatten(0, 1), log_std[:, own].flatten(0, 1)
                extra = distillation(policy, relevance, observations, stages, features[:, own].flatten(0, 1), ours)
                distilled.append(extra.item())
                loss = loss + weight * extra
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_gradient)
            optimizer.step()
    return {"distillation": sum(distilled) / max(1, len(distilled))}


def distillation(
    policy: RecurrentPolicy,
    relevance: Relevance,
    observations: torch.Tensor,
    stages: torch.Tensor,
    features: torch.Tensor,
    ours: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """AuxDistill's loss on N samples of the main task, of which what belongs to an auxiliary task learns nothing.

    Observations (N, n), the oracle's stages int64 (N,), and mean and log standard deviation ``ours`` (N, k) of
    π(· | s, main). The features (N, 2 hidden) of the main task's own sequences serve the auxiliary tasks too: see
    RecurrentPolicy.
    """
    with torch.no_grad():  # the stop-gradient
        tasks = range(1, policy.sizes["tasks"])
        others = [policy.action(features, torch.full((len(features),), i)) for i in tasks]
        f = relevance.weigh(policy, observations, features, stages)
    kl = torch.stack([losses.divergence(*ours, *other) for other in others], -1)
    return losses.distillation_loss(kl, f)
